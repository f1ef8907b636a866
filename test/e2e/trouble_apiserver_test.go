//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"time"
)

// apiServerNoticed is how long after the return of the API server backups may take to begin again. The leader's Lease
// expires within half a minute, in which its backups are cleaned up. But the cluster's own controllers, for which a
// backup waits, look again only after up to a minute.
const apiServerNoticed = 90 * time.Second

// withoutAPIServer ends the API server as soon as a mover of a StatefulSet runs, and starts it again when the work of
// somebody else has noticed its absence for a while.
func (in installation) withoutAPIServer(statefulSet string, d time.Duration, w *work) gap {
	in.t.Helper()
	in.until("a mover of "+statefulSet+" is there", func() (bool, string) { return in.moverIn(in.Namespace, statefulSet), "none is" })
	away := gap{down: time.Now(), noticed: apiServerNoticed}
	again := in.without("kube-apiserver")
	w.stopped(away.down, d)
	again()
	away.up = time.Now()
	w.back()
	return away
}

// moverIn says whether a StatefulSet has a mover that has not ended.
func (in installation) moverIn(namespace, statefulSet string) bool {
	in.t.Helper()
	return in.moverSince(namespace, statefulSet, time.Time{})
}

// moverSince says whether a StatefulSet has a mover that has not ended, and was made at a time or later. It is easy to
// miss a mover if one looks only while it runs: with little data that is less than a second.
func (in installation) moverSince(namespace, statefulSet string, since time.Time) bool {
	in.t.Helper()
	out, err := in.KubectlInput(
		in.ctx,
		"",
		"--namespace",
		namespace,
		"get",
		"pods",
		"--selector",
		"stsbackup.io/mover,stsbackup.io/statefulset="+statefulSet,
		"--field-selector",
		"status.phase!=Succeeded,status.phase!=Failed",
		"--output",
		"jsonpath={.items[*].metadata.creationTimestamp}",
	)
	if err != nil {
		in.t.Fatal(err)
	}
	return slices.ContainsFunc(strings.Fields(out), func(text string) bool {
		made, err := time.Parse(time.RFC3339, text)
		if err != nil {
			in.t.Fatal(err)
		}
		return !made.Before(since)
	})
}

// toldOfTheRestart checks that the log says what has happened.
func (in installation) toldOfTheRestart(away gap) {
	in.t.Helper()
	lines := in.log(away.down)
	for _, want := range []line{
		// Refused, reset, or at its end: that depends on whether a request was running. The log always says which
		// request failed.
		{Msg: "the leadership is lost: its Lease could not be renewed for 10s; whoever leads next tries again what is cancelled " +
			"now", Error: "leases/scheduler.stsbackup.io\": "},
		{Msg: "backup", StatefulSet: in.Namespace + "/alpha", Result: "cancelled", Error: "context canceled"},
		{Msg: "leading"},
		{Msg: "backup", StatefulSet: in.Namespace + "/alpha", Result: "done"},
	} {
		if !slices.ContainsFunc(lines, func(l line) bool {
			return l.Msg == want.Msg && l.StatefulSet == want.StatefulSet && strings.Contains(l.Error, want.Error) &&
				(want.Result == "" || l.Result == want.Result)
		}) {
			in.t.Errorf("the log does not say %+v:\n%s", want, texts(lines))
		}
	}
}

// texts returns the lines as they are in the log.
func texts(lines []line) string {
	var all []string
	for _, l := range lines {
		all = append(all, l.text)
	}
	return strings.Join(all, "\n")
}

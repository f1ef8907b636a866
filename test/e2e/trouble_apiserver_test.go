//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"time"
)

// apiServerNoticed is how long a scheduler may take to go on after the API server is back: the Leases of the leader and of
// the backup that it was making have to run out, and recovery points are listed anew.
const apiServerNoticed = 40 * time.Second

// withoutAPIServer ends the API server as soon as a mover runs, and starts it again after a while.
func (in installation) withoutAPIServer(d time.Duration) gap {
	in.t.Helper()
	in.until("a mover runs", func() (bool, string) {
		return in.kubectl("get", "pods", "--selector", "stsbackup.io/mover", "--field-selector", "status.phase=Running", "--output", "name") != "", "none does"
	})
	away := gap{down: time.Now(), noticed: apiServerNoticed}
	in.component("stop", "kube-apiserver")
	in.until("the API server has been away for "+d.String(), func() (bool, string) { return time.Since(away.down) > d, "" })
	in.component("start", "kube-apiserver")
	away.up = time.Now()
	in.component("status")
	return away
}

// toldOfTheRestart demands that the log says what has happened, and no more often than anybody wants to read it.
func (in installation) toldOfTheRestart(away gap) {
	in.t.Helper()
	lines := in.log(away.down)
	for _, l := range lines {
		in.t.Log(l.text)
	}
	for _, want := range []string{"no longer leading; what is running ends", "leading"} {
		if !slices.ContainsFunc(lines, func(l line) bool { return l.Msg == want }) {
			in.t.Errorf("the log does not say %q", want)
		}
	}
	if !slices.ContainsFunc(lines, func(l line) bool { return strings.Contains(l.text, "API server") }) {
		in.t.Error("the log does not say that the API server was away")
	}
}

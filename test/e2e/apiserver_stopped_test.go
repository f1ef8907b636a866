//go:build e2e

package e2e

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// work is a restore of the StatefulSet web and a backup of the StatefulSet db, both started by hand. While they run,
// the API server of the cluster is stopped for everybody.
type work struct {
	*scenario
	restore, backup *process
	// web and db are the checksums of what the restore must bring back, and of what the backup must save.
	web, db string
	// movers returns the movers that were seen, by StatefulSet: until the API server was stopped, and since it is back.
	movers map[string][]func() []json.RawMessage
}

// newWork makes the StatefulSets. Copying the volumes of web and db takes the given times.
func newWork(t *testing.T, limit, restore, backup time.Duration) *work {
	t.Helper()
	s := newScenarioWithin(t, "stopped", limit)
	w := &work{scenario: s, movers: map[string][]func() []json.RawMessage{}}
	s.apply(workload{name: "web", replicas: 1}.manifest()+"---"+workload{name: "db", replicas: 1}.manifest(), "web", "db")
	noise := func(pod string, takes time.Duration) string {
		return s.exec(pod, fmt.Sprintf("head -c %d /dev/urandom > /data/noise; sync; md5sum < /data/noise", slowBytes(takes)))
	}
	w.web, w.db = noise("web-0", restore), noise("db-0", backup)
	s.run(0, nil, "backup", s.Namespace+"/web")
	s.exec("web-0", "rm /data/noise; echo damaged > /data/id; sync")
	return w
}

// slowBytes is how many bytes are copied in a time at the rate slowCopy.
func slowBytes(d time.Duration) int { return 15 << 10 * int(d/time.Second) }

// begin starts both, and waits until they copy.
func (w *work) begin() {
	w.t.Helper()
	w.observeMovers()
	w.restore = w.start("restore", w.Namespace+"/web", "--yes", "--limit-download", slowCopy)
	w.restore.until("data-web-0: restoring")
	w.backup = w.start("backup", w.Namespace+"/db", "--limit-upload", slowCopy)
	w.backup.until("data-db-0: copying")
}

// observeMovers watches the movers until the test ends the watch, or stops the API server.
func (w *work) observeMovers() {
	w.t.Helper()
	for _, name := range []string{"web", "db"} {
		w.movers[name] = append(w.movers[name], w.observePods("stsbackup.io/mover,stsbackup.io/statefulset="+name))
	}
}

// stopped checks that both soon say that they wait for the API server, which was stopped at a time. It returns when the
// server has been away for long enough.
func (w *work) stopped(at time.Time, away time.Duration) {
	w.t.Helper()
	for _, command := range []*process{w.restore, w.backup} {
		command.until("does not answer")
		if told := time.Since(at); told > 25*time.Second {
			w.t.Errorf("it is told only %s after the API server was stopped:\n%s", told, &command.said)
		}
	}
	w.until("the API server has been away for "+away.String(), func() (bool, string) {
		w.restore.sofar() // or they could say no more
		w.backup.sofar()
		return time.Since(at) > away, ""
	})
}

// back checks, once the API server is back, that the mover of the restore is still in the middle.
func (w *work) back() {
	w.t.Helper()
	w.observeMovers()
	if movers := w.kubectl(
		"get",
		"pods",
		"--selector",
		"stsbackup.io/mover,stsbackup.io/statefulset=web",
		"-o",
		"jsonpath={.items[*].status.phase}",
	); movers != "Running" {
		w.t.Errorf("when the API server is back, the mover of the restore is %q", movers)
	}
}

// end checks that both finish with the movers that they had, and with the right contents.
func (w *work) end() {
	w.t.Helper()
	for name, command := range map[string]*process{"web": w.restore, "db": w.backup} {
		code := command.end()
		said := command.said.String()
		if code != 0 || !strings.Contains(said, "answers again") || strings.Contains(said, "put back") || strings.Contains(said, "warning") {
			w.t.Fatalf("exit code %d after the API server was stopped:\n%s", code, said)
		}
		w.t.Logf("it says:\n%s", said)
		var pods []json.RawMessage
		for _, seen := range w.movers[name] {
			pods = append(pods, seen()...)
		}
		w.oneMover(pods)
	}
	w.waitReady("web")
	if got := w.exec("web-0", "md5sum < /data/noise; cat /data/id"); got != w.web+"\nI am web-0" {
		w.t.Errorf("what was restored is %s, want %s", got, w.web)
	}
	w.displaced(1)
	saved, err := w.StockRestic(w.ctx, "db", "dump", "--path", "/data-db-0", "latest", "/data-db-0/noise")
	if err != nil || saved.Code != 0 {
		w.t.Fatalf("%v\n%s", err, saved.Stderr)
	}
	if got := fmt.Sprintf("%x  -", md5.Sum([]byte(saved.Stdout))); got != w.db {
		w.t.Errorf("what was saved is %s, want %s", got, w.db)
	}
	w.nothingBehind()
}

//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// outage is a StatefulSet of one ordinal whose volume takes a good while to copy.
type outage struct {
	*scenario
	web string
}

// slowCopy is the rate, in KiB/s, at which the 300 kB of a workload's volume take 20 seconds.
const slowCopy = "15"

func newOutage(t *testing.T, away time.Duration) outage {
	t.Helper()
	s := newScenarioWithin(t, "outage", 10*time.Minute+2*away)
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	return outage{s, s.Namespace + "/web"}
}

// TestAPIServerAway takes the API server away for half a minute. Only the command under test notices, because it has a
// connection of its own; stopping the API server itself would disturb the tests beside this one.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	t.Run("restore", func(t *testing.T) {
		t.Parallel()
		restoreThrough(t, 30*time.Second)
	})
	t.Run("backup", func(t *testing.T) {
		t.Parallel()
		backUpThrough(t, 30*time.Second)
	})
}

// backUpThrough backs up while the API server is away.
func backUpThrough(t *testing.T, away time.Duration) {
	o := newOutage(t, away)
	want := o.exec("web-0", "md5sum /data/noise")
	movers := o.observePods("stsbackup.io/mover")
	o.through(away, ": copying", "backup", o.web, "--limit-upload", slowCopy)
	o.oneMover(movers())
	o.nothingLeft()

	o.exec("web-0", "rm /data/noise; sync")
	o.run(0, nil, "restore", o.web, "--yes")
	o.waitReady("web")
	if got := o.exec("web-0", "md5sum /data/noise"); got != want {
		t.Errorf("what was saved is %s, want %s", got, want)
	}
}

// restoreThrough restores while the API server is away.
func restoreThrough(t *testing.T, away time.Duration) {
	o := newOutage(t, away)
	o.run(0, nil, "backup", o.web)
	want := o.exec("web-0", "md5sum /data/noise")
	o.exec("web-0", "rm /data/noise; sync")
	movers := o.observePods("stsbackup.io/mover")
	o.through(away, ": restoring", "restore", o.web, "--yes", "--limit-download", slowCopy)
	o.oneMover(movers())
	o.waitReady("web")
	if got := o.exec("web-0", "md5sum /data/noise"); got != want {
		t.Errorf("what was restored is %s, want %s", got, want)
	}
	o.displaced(1)
	o.nothingLeft()
}

// through runs a command, takes the API server away for a while when the command says something, and checks that the
// command says what it waits for, puts nothing back, and finishes.
func (o outage) through(away time.Duration, when string, args ...string) {
	o.t.Helper()
	proxy := o.newProxy()
	command := o.startThrough(proxy, args...)
	command.until(when)
	proxy.away()
	went := time.Now()
	command.until("does not answer")
	if told := time.Since(went); told > 25*time.Second {
		o.t.Errorf("it is told only after %s", told)
	}
	wait(o.ctx, away-time.Since(went))
	if err := proxy.open(); err != nil {
		o.t.Fatal(err)
	}
	code := command.end()
	said := command.said.String()
	if code != 0 || !strings.Contains(said, "again") || strings.Contains(said, "put") && strings.Contains(said, "back") {
		o.t.Fatalf("exit code %d, after the API server was away for %s:\n%s", code, away, said)
	}
	o.t.Logf("it says:\n%s", said)
}

// oneMover checks that one mover has mounted one claim. It may get the same pod twice.
func (s *scenario) oneMover(pods []json.RawMessage) {
	s.t.Helper()
	movers := s.moversByClaim(pods)
	if len(movers) != 1 {
		s.t.Errorf("movers of %d claims were seen, want 1: %v", len(movers), movers)
	}
	for claim, n := range movers {
		if n != 1 {
			s.t.Errorf("%d movers were seen for claim %s, want 1: %v", n, claim, movers)
		}
	}
}

// moversByClaim counts the movers' pods for each claim that they mount.
func (s *scenario) moversByClaim(pods []json.RawMessage) map[string]int {
	s.t.Helper()
	movers, known := map[string]int{}, map[string]bool{}
	for _, text := range pods {
		var pod struct {
			Metadata struct{ UID string }
			Spec     struct {
				Volumes []struct{ PersistentVolumeClaim *struct{ ClaimName string } }
			}
		}
		if err := json.Unmarshal(text, &pod); err != nil {
			s.t.Fatal(err)
		}
		if known[pod.Metadata.UID] {
			continue
		}
		known[pod.Metadata.UID] = true
		for _, volume := range pod.Spec.Volumes {
			if volume.PersistentVolumeClaim != nil {
				movers[volume.PersistentVolumeClaim.ClaimName]++
			}
		}
	}
	return movers
}

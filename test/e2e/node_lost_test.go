//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRestoreResumedAfterALostNode loses the node of a mover that fills a volume, and with it the restore. Resuming
// waits for the node, because the mover may still write, says so, and goes on when the node is back. It keeps what was
// complete before. No other pod of the cluster is ready meanwhile, so this test does not run beside others.
func TestRestoreResumedAfterALostNode(t *testing.T) {
	s := newScenario(t, "lost")
	web := s.Namespace + "/web"
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	saved := map[string]string{}
	for pod, size := range map[string]int{"web-0": 1000, "web-1": slowBytes(5 * time.Minute)} {
		saved[pod] = s.exec(pod, fmt.Sprintf("cd /data; head -c %d /dev/urandom > noise; sync; cat id; md5sum noise", size))
	}
	s.run(0, nil, "backup", web)
	for pod := range saved {
		s.exec(pod, "cd /data; echo damaged > id; rm noise; sync")
	}
	movers := s.observePods("stsbackup.io/mover")
	restore := s.start("restore", web, "--yes", "--parallel", "1", "--limit-download", slowCopy)
	restore.until("data-web-1: restoring")
	mover := strings.Fields(s.kubectl("get", "pods", "--selector", "stsbackup.io/mover", "--field-selector", "status.phase=Running",
		"-o", "jsonpath={.items[*].metadata.name} {.items[*].spec.nodeName}"))
	if len(mover) != 2 {
		t.Fatalf("these movers run, each with its node: %s", mover)
	}
	node := mover[1]
	again := s.without("kubelet-" + node)
	restore.signal(syscall.SIGKILL)
	restore.end()

	resume := s.start("restore", web, "--resume", "--yes")
	resume.until("waiting until this is gone: mover pod " + s.Namespace + "/" + mover[0])
	resume.until("its node " + node + " is NotReady")
	if state := s.kubectl("get", "pod", mover[0], "-o", "jsonpath={.status.phase}"); state != "Running" {
		t.Errorf("the mover on the lost node is %s: it should be one that may write", state)
	}
	again()
	code := resume.end()
	said := resume.said.String()
	if code != 0 || !strings.Contains(said, "claim data-web-0 is complete already") || !strings.Contains(said, "data-web-1: filled again") ||
		strings.Contains(said, "warning") {
		t.Fatalf("exit code %d:\n%s", code, said)
	}
	t.Logf("it says:\n%s", said)
	if got := s.moversByClaim(movers()); got["data-web-0"] != 1 || got["data-web-1"] != 2 || len(got) != 2 {
		t.Errorf("movers by claim: %v, want one that was kept, and one that was filled again", got)
	}
	s.waitReady("web")
	for pod, want := range saved {
		if got := s.exec(pod, "cd /data; cat id; md5sum noise"); got != want {
			t.Errorf("%s holds\n%s\nwant\n%s", pod, got, want)
		}
	}
	s.displaced(2)
	s.nothingLeft()
}

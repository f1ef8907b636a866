//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// unchanged checks that the StatefulSet runs as before, on its own old volumes, and that nothing else is left.
func (s *scenario) unchanged(storage string, data map[string]string) {
	s.t.Helper()
	s.holds(data)
	if got := s.storage(); got != storage {
		s.t.Fatalf("the storage is now\n%s\nand was\n%s", got, storage)
	}
	s.displaced(0)
	s.nothingLeft()
	volumes := s.kubectl(
		"get",
		"pv",
		"-o",
		fmt.Sprintf(`jsonpath={range .items[?(@.spec.claimRef.namespace==%q)]}{.metadata.name}{"\n"}{end}`, s.Namespace),
	)
	if n := len(strings.Fields(volumes)); n != 3 {
		s.t.Fatalf("%d volumes, want 3:\n%s", n, volumes)
	}
}

// TestRestoreFailsBeforeAnythingChanges: a mover that touches no volume finds out what movers cannot do, while the pods
// run.
func TestRestoreFailsBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "probe")
	_, now := s.newSet(set{class: "reflink", management: "OrderedReady", retention: "Delete"})
	web := s.Namespace + "/web"
	before, pods := s.storage(), s.podUIDs()
	defer func() {
		if got := s.podUIDs(); got != pods {
			t.Errorf("pods were ended: now %s, before %s", got, pods)
		}
	}()

	t.Log("an image that cannot be had")
	s.run(1, []string{"nothing was changed", "InvalidImageName"}, "restore", web, "--yes", "--image", "NO:SUCH:IMAGE")
	s.unchanged(before, now)

	t.Log("a mover that cannot read the repository")
	s.run(1, []string{"nothing was changed"}, "restore", web, "--yes",
		"--mover-repo", strings.Replace(s.Repo(s.PodEndpoint), s.Prefix, s.Prefix+"-elsewhere", 1))
	s.unchanged(before, now)
}

func TestRestoreInterrupted(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "ctrlc")
	saved, now := s.newSet(set{class: "reflink", management: "Parallel", retention: "Delete"})
	web := s.Namespace + "/web"
	before := s.storage()
	for at, by := range map[string][]syscall.Signal{
		"scaling ": {syscall.SIGINT}, "data-web-2: waiting for its turn": {syscall.SIGINT},
		// A lost terminal: its shell passes the signal on once more.
		"data-web-1: preparing": {syscall.SIGHUP, syscall.SIGHUP},
	} {
		t.Logf("%s at %q", by[0], at)
		p := s.start("restore", web, "--yes")
		p.until(at)
		for _, signal := range by {
			p.signal(signal)
		}
		if code := p.end(); code != 130 || !strings.Contains(p.said.String(), "put back") {
			t.Fatalf("exit code %d:\n%s", code, &p.said)
		}
		s.unchanged(before, now)
	}
	t.Log("nobody reads what it says any more")
	p := s.start("restore", web, "--yes")
	p.until("scaling ")
	p.unheard()
	if code := p.end(); code != 0 {
		t.Fatalf("it ended with %s", p.cmd.ProcessState)
	}
	s.holds(saved)
}

// TestRestoreMoverKilled kills a mover, which then cannot remove its lock: the restore is put back, and nobody has to
// wait for that lock.
func TestRestoreMoverKilled(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "moverkilled")
	_, now := s.newSet(set{class: "reflink", management: "Parallel", retention: "Delete"})
	web := s.Namespace + "/web"
	before := s.storage()
	p := s.start("restore", web, "--yes", "--parallel", "1", "--limit-download", "16") // one mover, which has not ended by then
	p.until(": restoring")
	pod := s.kubectl("get", "pods", "--selector", cluster.LabelMover, "--output", "jsonpath={.items[*].metadata.name}")
	s.kill9(s.podUID(s.Namespace, pod), "/stsbackup")
	if code := p.end(); code != 1 || !strings.Contains(p.said.String(), "everything was put back") {
		t.Fatalf("exit code %d:\n%s", code, &p.said)
	}
	s.unchanged(before, now)
	s.run(0, []string{"Removed the lock of a dead mover", pod}, "prune", web, "--retry-lock", "0")
}

func TestRestoreKilled(t *testing.T) {
	for _, point := range []struct{ name, line string }{
		{"scaled down", "scaling "},
		{"set aside", "data-web-2: waiting for its turn"},
		{"filling", "data-web-1: preparing"},
		{"complete", "all volumes are complete"},
	} {
		t.Run(point.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, "killed")
			saved, _ := s.newSet(set{class: "reflink", management: "OrderedReady", retention: "Delete"})
			web := s.Namespace + "/web"
			before := strings.Fields(s.kubectl("get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}"))
			p := s.start("restore", web, "--yes")
			p.until(point.line)
			p.signal(syscall.SIGKILL)
			p.end()
			for _, volume := range before {
				s.kubectl("get", "pv", volume) // none is gone
			}
			s.goOn(point.name == "set aside" || point.name == "filling", point.name == "complete", web)
			s.holds(saved)
			s.nothingLeft()
			s.displaced(3)
			want := `3 {"whenDeleted":"Delete","whenScaled":"Delete"}`
			if got := s.kubectl(
				"get",
				"statefulset",
				"web",
				"-o",
				"jsonpath={.spec.replicas} {.spec.persistentVolumeClaimRetentionPolicy}",
			); got != want {
				t.Errorf("replicas and retention policy: %s, want %s", got, want)
			}
			s.run(0, nil, "backup", web)
		})
	}
}

// goOn resumes a killed restore. If that restore holds the StatefulSet, nobody can back it up; before and after that
// its pods run, or are about to.
func (s *scenario) goOn(holds, complete bool, web string) {
	s.t.Helper()
	if holds {
		s.run(
			5,
			[]string{"a restore of recovery point", "has not ended", "stsbackup restore " + web + " --resume", "stsbackup undo " + web},
			"backup",
			web,
		)
	}
	if !complete {
		s.run(5, []string{"was interrupted in phase", "stsbackup restore " + web + " --resume", "stsbackup undo " + web}, "restore", web, "--yes")
	}
	var plan struct {
		Interrupted   string
		ReplicasAfter int
	}
	dry := s.run(0, nil, "restore", web, "--resume", "--dry-run", "-o", "json")
	if err := json.Unmarshal([]byte(dry.Stdout), &plan); err != nil || plan.Interrupted == "" || plan.ReplicasAfter != 3 {
		s.t.Fatalf("the plan after a kill: %v\n%s", err, dry)
	}
	s.run(0, []string{"was interrupted in phase"}, "restore", web, "--resume", "--yes")
}

// podUIDs shows whether pods are still the same.
func (s *scenario) podUIDs() string {
	s.t.Helper()
	return s.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.uid}")
}

func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "refused")
	_, now := s.newSet(set{class: "reflink", management: "Parallel", retention: "Retain"})
	web := s.Namespace + "/web"
	before := s.storage()
	s.run(4, []string{"has no backup"}, "restore", s.Namespace+"/wep", "--yes")
	s.run(4, []string{"no such recovery point"}, "restore", web+"@20200101T000000Z-0000", "--yes")

	s.kubectl("autoscale", "statefulset", "web", "--min=1", "--max=3")
	s.run(5, []string{"HorizontalPodAutoscaler web", "delete hpa web"}, "restore", web, "--dry-run")
	s.run(5, []string{"HorizontalPodAutoscaler web"}, "restore", web, "--yes")
	s.kubectl("delete", "hpa", "web")

	s.kubectl("scale", "statefulset", "web", "--replicas=4")
	s.waitReady("web")
	s.run(5, []string{"holds nothing for data-web-3", "--replicas=3"}, "restore", web, "--yes")
	s.kubectl("scale", "statefulset", "web", "--replicas=3")
	s.kubectl("wait", "--for=delete", "pod/web-3", "--timeout=180s")
	volume := s.kubectl("get", "pvc", "data-web-3", "-o", "jsonpath={.spec.volumeName}")
	s.kubectl("delete", "pvc", "data-web-3")
	s.kubectl("wait", "--for=delete", "pv/"+volume, "--timeout=180s")
	s.unchanged(before, now)

	s.kubectl("delete", "statefulset", "web")
	s.run(4, []string{"StatefulSet " + web + ": not found"}, "restore", web, "--yes")
}

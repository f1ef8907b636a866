//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestRestoreHeldFromHPA lets an autoscaler, and somebody who scales, bring replicas back in the middle of a restore.
// The new pods wait until the restore is done. Then they are Ready, on the restored data, with the revision that the
// StatefulSet had before.
func TestRestoreHeldFromHPA(t *testing.T) {
	for name, kind := range map[string]string{
		"ordered":   `podManagementPolicy: OrderedReady`,
		"parallel":  `podManagementPolicy: Parallel`,
		"on delete": `updateStrategy: {type: OnDelete}`,
		"partition": `updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, "held")
			manifest := fmt.Sprintf(actsManifest, "reflink-immediate")
			s.apply(strings.Replace(manifest, "podManagementPolicy: Parallel", kind, 1))
			s.heldFromHPA()
		})
	}
}

// revisions are the StatefulSet's current and update revisions.
func (s *scenario) revisions() string {
	s.t.Helper()
	return s.kubectl("get", "statefulset", "web", "-o", "jsonpath={.status.currentRevision} {.status.updateRevision}")
}

// podRevisions are the revisions of the pods, and their gates.
func (s *scenario) podRevisions() string {
	s.t.Helper()
	return s.kubectl("get", "pods", "--selector=app=web", "--sort-by=.metadata.name", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.labels.controller-revision-hash} {.spec.schedulingGates}{"\n"}{end}`)
}

// bothReady waits for the pods. kubectl rollout status does not support OnDelete.
func (s *scenario) bothReady() {
	s.t.Helper()
	for _, pod := range []string{"pod/web-0", "pod/web-1"} {
		s.created(pod)
		s.kubectl("wait", pod, "--for=condition=Ready", "--timeout=180s")
	}
}

func (s *scenario) heldFromHPA() {
	s.t.Helper()
	web := s.Namespace + "/web"
	s.bothReady()
	for ordinal := range 2 {
		s.exec(
			fmt.Sprintf("web-%d", ordinal),
			fmt.Sprintf("head -c 300000 /dev/urandom > /data/noise; echo saved of ordinal %d > /data/own; sync", ordinal),
		)
	}
	s.run(0, nil, "backup", web)
	for ordinal := range 2 {
		s.exec(fmt.Sprintf("web-%d", ordinal), fmt.Sprintf("echo old of ordinal %d > /data/own; sync", ordinal))
	}
	revisions, pods := s.revisions(), s.podRevisions()

	restore := s.start("restore", web, "--yes", "--parallel", "1", "--limit-download", slowCopy)
	restore.until(": restoring")
	s.kubectl("autoscale", "statefulset", "web", "--min=2", "--max=2")
	s.kubectl("scale", "statefulset", "web", "--replicas=2")
	gated := `jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.conditions[?(@.type=="PodScheduled")].reason}{"\n"}{end}`
	s.until("a pod waits for the end of the restore", func() (bool, string) {
		got := s.kubectl("get", "pods", "--selector=app=web", "-o", gated)
		return strings.Contains(got, "web-0 Pending SchedulingGated"), got
	})
	restore.until("data-web-1: restoring") // half of it is still to come
	if got := s.kubectl("get", "pods", "--selector=app=web", "-o", gated); strings.Contains(got, "Running") ||
		!strings.Contains(got, "web-0 Pending SchedulingGated") {
		s.t.Errorf("in the middle of the restore, the pods are\n%s", got)
	}
	if code := restore.end(); code != 0 {
		s.t.Fatalf("exit code %d:\n%s", code, &restore.said)
	}
	s.bothReady()
	for ordinal := range 2 {
		if got, want := s.exec(fmt.Sprintf("web-%d", ordinal), "cat /data/own"), fmt.Sprintf("saved of ordinal %d", ordinal); got != want {
			s.t.Errorf("web-%d holds %q, want %q", ordinal, got, want)
		}
	}
	if got := s.kubectl("get", "statefulset", "web", "-o", "jsonpath={.spec.template.spec.schedulingGates}"); got != "" {
		s.t.Errorf("the pod template still has gates: %s", got)
	}
	s.until("the StatefulSet is of the revision that it had before", func() (bool, string) {
		got := s.revisions()
		return got == revisions, fmt.Sprintf("it has %s, and had %s", got, revisions)
	})
	if got := s.podRevisions(); got != pods {
		s.t.Errorf("the pods are\n%s\nand were\n%s", got, pods)
	}
	s.displaced(2)
	s.nothingLeft()
}

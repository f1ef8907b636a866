//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// plantedObjects are objects of a person who has copied stsbackup's labels and annotations: those of a mover for
// data-web-0 in the given operation. Their names are not those that the operation gives. The Secret has the Job's name.
func plantedObjects(operation string) string {
	const object = `
apiVersion: %[1]s
kind: %[2]s
metadata:
  name: %[3]s
  labels:
    app.kubernetes.io/managed-by: stsbackup
    stsbackup.io/operation: %[4]s
    stsbackup.io/statefulset: web
    stsbackup.io/ordinal: "0"
    stsbackup.io/claim: data-web-0
    stsbackup.io/mover: %[3]s
  annotations: {stsbackup.io/statefulset-name: web, stsbackup.io/claim-name: data-web-0}
%[5]s
---`
	const pod = `{schedulingGates: [{name: example.com/never}], restartPolicy: Never, containers: [{name: mover, image: "busybox:1.35", ` +
		`command: [sleep, "1"]}]}`
	const claim = `spec: {storageClassName: reflink, accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}`
	var all strings.Builder
	for _, p := range []struct{ version, kind, name, rest string }{
		{"batch/v1", "Job", "planted", "spec: {suspend: true, template: {spec: " + pod + "}}"},
		{"v1", "Secret", "planted", "stringData: {of: somebody}"},
		{"v1", "Pod", "planted", "spec: " + pod},
		{"v1", "PersistentVolumeClaim", "planted", claim},
		{"v1", "PersistentVolumeClaim", "stsbackup-planted", claim},
		{"snapshot.storage.k8s.io/v1", "VolumeSnapshot", "planted", "spec: {volumeSnapshotClassName: reflink, source: " +
			"{persistentVolumeClaimName: data-web-0}}"},
		{"v1", "ServiceAccount", "planted", ""},
	} {
		fmt.Fprintf(&all, object, p.version, p.kind, p.name, operation, p.rest)
	}
	return all.String()
}

// uids returns the UIDs of everything that has stsbackup's label in the namespace, by kind and name.
func (s *scenario) uids() map[string]string {
	s.t.Helper()
	uids := map[string]string{}
	out := s.kubectl(
		"get",
		"jobs,secrets,pods,persistentvolumeclaims,volumesnapshots,serviceaccounts",
		"--selector",
		"app.kubernetes.io/managed-by=stsbackup",
		"--output",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}`,
	)
	for line := range strings.Lines(out) {
		name, uid, _ := strings.Cut(strings.TrimSpace(line), " ")
		uids[name] = uid
	}
	return uids
}

// TestSweepLeavesWhatIsNotOurs kills a backup; a person's own objects have the same labels as what it has left. The
// next backup removes what the dead one has left, and nothing else.
func TestSweepLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "planted")
	s.apply(workload{name: "web", replicas: 2}.manifest(), "web")
	name := s.Namespace + "/web"
	killed := s.start("backup", name, "--limit-upload", "128")
	killed.until("data-web-0: copying")
	killed.signal(syscall.SIGKILL)
	killed.end()
	left := s.uids()
	if len(left) < 6 { // two VolumeSnapshots, and a claim, a Job, a pod and a Secret
		t.Fatalf("a killed backup left only %q: this test shows nothing", slices.Sorted(maps.Keys(left)))
	}
	operation := s.kubectl(
		"get",
		"jobs",
		"--selector",
		"app.kubernetes.io/managed-by=stsbackup",
		"--output",
		`jsonpath={.items[0].metadata.labels.stsbackup\.io/operation}`,
	)
	s.apply(plantedObjects(operation))
	before := s.uids()
	maps.DeleteFunc(before, func(object, uid string) bool { return left[object] == uid })
	if len(before) != 7 {
		t.Fatalf("planted %q", slices.Sorted(maps.Keys(before)))
	}

	s.run(0, []string{"removed what a dead operation had left: Job", "complete"}, "backup", name)
	after := s.uids()
	if !maps.Equal(before, after) {
		t.Errorf("there are %q, want what was planted: %q", after, before)
	}
}

// TestBackupBesideAPodThatStays: the pod of a killed backup cannot go, like a pod on a lost node. The next backup says
// so, and goes on.
func TestBackupBesideAPodThatStays(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "stranded")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	name := s.Namespace + "/web"
	killed := s.start("backup", name, "--limit-upload", "128")
	killed.until("data-web-0: copying")
	killed.signal(syscall.SIGKILL)
	killed.end()
	pod := s.kubectl("get", "pods", "--selector", "app.kubernetes.io/managed-by=stsbackup", "--output", "jsonpath={.items[0].metadata.name}")
	finalizers := func(list string) {
		s.kubectl("patch", "pod", pod, "--type=merge", "--patch", `{"metadata":{"finalizers":`+list+`}}`)
	}
	finalizers(`["example.com/held"]`)
	released := false
	t.Cleanup(func() {
		if !released {
			finalizers("null")
		}
	})
	s.run(0, []string{
		"waiting until this is gone: mover pod " + s.Namespace + "/" + pod, "held by its finalizers example.com/held",
		"warning: left by a dead operation: mover pod " + s.Namespace + "/" + pod + " is left", "complete",
	}, "backup", name)
	finalizers("null")
	released = true
	s.run(0, []string{"complete"}, "backup", name)
	s.nothingBehind()
}

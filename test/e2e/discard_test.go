//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// volumeOf returns the volume of an ordinal among those that are set aside.
func (s *scenario) volumeOf(names []string, ordinal int) string {
	s.t.Helper()
	for _, name := range names {
		if s.kubectl("get", "pv", name, "-o", "jsonpath={.spec.claimRef.name}") == fmt.Sprintf("data-web-%d", ordinal) {
			return name
		}
	}
	s.t.Fatalf("none of %s was that of ordinal %d", strings.Join(names, " "), ordinal)
	return ""
}

// isThere reports whether a volume with this name exists.
func (s *scenario) isThere(volume string) bool {
	s.t.Helper()
	return s.kubectl("get", "pv", volume, "--ignore-not-found", "-o", "name") != ""
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "discard")
	web := s.Namespace + "/web"
	saved, _ := s.newSet(set{class: "reflink-immediate", management: "Parallel", retention: "Retain"})
	s.run(0, nil, "restore", web, "--yes")
	s.holds(saved)
	names, bound := s.displaced(3), s.storage()

	t.Log("what is shown, and what is refused, changes nothing")
	s.run(
		0,
		append([]string{"Free 3 volumes of " + web, "deleted with its data by", "reflink-immediate"}, names...),
		"discard",
		web,
		"--dry-run",
	)
	s.run(2, []string{"give --yes to go ahead"}, "discard", web)
	s.run(0, []string{"There is nothing to free", "it has been set aside since"}, "discard", web, "--older-than", "1d", "--yes")
	s.run(5, []string{"no volume of ordinal 7 is set aside"}, "discard", web, "--ordinals", "7", "--yes")
	s.kubectl(
		"create",
		"configmap",
		"stsbackup-restore-web",
		"--from-literal=phase=fill",
		"--from-literal=recoveryPoint=20261121T081200Z-3fa9",
	)
	s.run(5, []string{"a restore of recovery point 20261121T081200Z-3fa9 has begun and has not ended"}, "discard", web, "--yes")
	s.kubectl("delete", "configmap", "stsbackup-restore-web")
	s.displaced(3)

	t.Log("one ordinal's is freed, and no other's")
	first := s.volumeOf(names, 0)
	s.run(0, []string{"Freed 1 volume", first}, "discard", web, "--ordinals", "0", "--yes")
	if s.isThere(first) {
		t.Fatalf("volume %s is there", first)
	}
	names = s.displaced(2)

	t.Log("what waits for its claim again is not set aside, whatever its labels")
	second := s.volumeOf(names, 1)
	s.kubectl("patch", "pv", second, "--type=merge", "-p", `{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}`)
	s.kubectl("wait", "pv/"+second, "--for=jsonpath={.status.phase}=Available", "--timeout=180s")
	third := s.volumeOf(names, 2)
	s.run(0, []string{second + " (claim data-web-1) stays as it is: it is reserved for claim", "Free 1 volume"}, "discard", web, "--dry-run")
	report := s.run(0, []string{third}, "discard", "--all", "-n", s.Namespace, "--yes", "-o", "json")
	var freed struct {
		Freed []struct{ Name string }
		Bytes int64
	}
	if err := json.Unmarshal([]byte(report.Stdout), &freed); err != nil || len(freed.Freed) != 1 || freed.Freed[0].Name != third ||
		freed.Bytes != 64<<20 {
		t.Errorf("%v, %+v in %s", err, freed, report)
	}
	if s.isThere(third) || !s.isThere(second) {
		t.Errorf("volumes that are there: %t %t", s.isThere(third), s.isThere(second))
	}
	if got := s.storage(); got != bound {
		t.Errorf("what the pods use has changed from\n%s\nto\n%s", bound, got)
	}
	s.holds(saved)
	s.nothingLeft()
}

// TestDiscardStaticVolumes: discard releases volumes that a person has made, and does not change them.
func TestDiscardStaticVolumes(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "discard-static")
	web := s.Namespace + "/web"
	s.freeVolumes("a", "b", "c")
	d := set{class: "manual", management: "Parallel", retention: "Retain"}
	s.apply(strings.Replace(d.manifest(), "storageClassName: manual", "storageClassName: manual\n      "+s.ownVolumes(), 1), "web")
	s.write("first")
	s.run(0, []string{"live"}, "backup", web, "--method", "live")
	s.write("second")
	s.freeVolumes("spare-a", "spare-b", "spare-c")
	s.run(0, nil, "restore", web, "--yes")
	names := s.displaced(3)
	second := s.volumeOf(names, 1)

	s.run(0, []string{"Freed 1 volume", "Available to any claim, with the data still on it"}, "discard", web, "--ordinals", "1", "--yes")
	s.kubectl("wait", "pv/"+second, "--for=jsonpath={.status.phase}=Available", "--timeout=180s")
	if got := s.kubectl("get", "pv", second, "-o", "jsonpath={.metadata.labels} {.spec.claimRef}"); strings.Contains(got, "stsbackup.io") ||
		strings.Contains(got, "data-web") {
		t.Errorf("volume %s has marks: %s", second, got)
	}
	s.displaced(2)

	t.Log("its data is still on it")
	s.apply(fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: look}
spec: {accessModes: [ReadWriteOnce], storageClassName: manual, volumeName: %s, resources: {requests: {storage: 64Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: look}
spec:
  restartPolicy: Never
  containers:
  - name: shell
    image: busybox:1.35
    imagePullPolicy: IfNotPresent
    command: [cat, /data/own]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: look}}]
`, second))
	s.kubectl("wait", "pod/look", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
	if got := s.kubectl("logs", "look"); got != "second of ordinal 1" {
		t.Errorf("the volume holds %q", got)
	}
}

// asideVolume makes a volume that looks as if a restore of a StatefulSet had set it aside, without the restore.
func (s *scenario) asideVolume(statefulSet string) {
	s.t.Helper()
	claim := "data-" + statefulSet + "-9"
	name := s.Namespace + "-aside"
	manifest := fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata:
  name: %[1]s
  labels: {app.kubernetes.io/managed-by: stsbackup, stsbackup.io/statefulset: %[2]s, stsbackup.io/displaced-from: %[3]s}
  annotations:
    stsbackup.io/displaced-from: %[4]s/%[3]s
    stsbackup.io/displaced-by: 20261121T081200Z-3fa9
    stsbackup.io/displaced-at: "2026-11-21T08:12:00Z"
spec:
  capacity: {storage: 64Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: %[4]s, name: %[3]s, uid: 00000000-0000-4000-8000-000000000000}
  hostPath: {path: /var/tmp/stsbackup-e2e/%[1]s}
`, name, statefulSet, claim, s.Namespace)
	if _, err := s.KubectlInput(s.ctx, manifest, "apply", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
	s.kubectl("wait", "pv/"+name, "--for=jsonpath={.status.phase}=Released", "--timeout=180s")
}

//go:build lifecycle

package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// storage uses volumes in every way that the driver offers. The StatefulSet web runs, with a page in www-web-0.
func storage(t *testing.T, r rig) {
	const page = "cat /d/index.html"
	t.Run("VolumeSnapshot into a larger claim", func(t *testing.T) {
		r.snapshot(t, "cut", "www-web-0", "reflink")
		r.field(t, "volumesnapshot/cut", "{.status.readyToUse}", is("true"))
		r.kubectl(t, "exec", "web-0", "--", "sh", "-c", "echo later > /usr/share/nginx/html/index.html")
		r.claim(t, "restored", "reflink-immediate", "128Mi", "Filesystem", "VolumeSnapshot/cut")
		r.field(t, "pvc/restored", "{.status.phase}", is("Bound"))
		if got := r.job(t, "read-restored", "restored", page+" && df -m /d | tail -n 1"); !strings.Contains(got, "page of web-0") {
			t.Errorf("restored: %q", got)
		} else if size := strings.Fields(got[strings.LastIndex(got, "\n")+1:])[1]; len(size) != 3 {
			t.Errorf("the file system has %s MiB, not more than 100", size)
		}
	})
	t.Run("clone", func(t *testing.T) {
		r.claim(t, "cloned", "reflink", "64Mi", "Filesystem", "PersistentVolumeClaim/www-web-0")
		if got := r.job(t, "read-cloned", "cloned", page); got != "later" {
			t.Errorf("cloned: %q", got)
		}
	})
	t.Run("group", func(t *testing.T) {
		r.apply(t, `
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: both}
spec: {volumeGroupSnapshotClassName: reflink-group, source: {selector: {matchLabels: {group: web}}}}`)
		r.field(t, "volumegroupsnapshot/both", "{.status.readyToUse}", is("true"))
		r.field(
			t,
			"volumesnapshots",
			`{.items[?(@.metadata.ownerReferences[0].name=="both")].spec.source.persistentVolumeClaimName}`,
			func(names string) bool {
				return len(strings.Fields(names)) == 2 && strings.Contains(names, "www-web-0") && strings.Contains(names, "www-web-1")
			},
		)
		r.kubectl(t, "delete", "volumegroupsnapshot/both", "--timeout=60s")
	})
	t.Run("block", func(t *testing.T) { block(t, r) })
	t.Run("expansion", func(t *testing.T) {
		r.kubectl(t, "delete", "job/read-cloned", "--timeout=60s")
		r.kubectl(t, "patch", "pvc/cloned", "-p", `{"spec": {"resources": {"requests": {"storage": "256Mi"}}}}`)
		r.field(t, "pvc/cloned", "{.status.capacity.storage}", is("256Mi"))
		if got := r.job(t, "read-expanded", "cloned", "df -m /d | tail -n 1 | awk '{print ($2 > 200)}'"); got != "1" {
			t.Errorf("the file system has not grown: %s", got)
		}
	})
	t.Run("slow", func(t *testing.T) {
		r.snapshot(t, "slow", "www-web-0", "reflink-slow")
		r.field(t, "volumesnapshot/slow", "{.status.creationTime}", any)
		if ready := r.kubectl(t, "get", "volumesnapshot/slow", "-o", "jsonpath={.status.readyToUse}"); ready == "true" {
			t.Error("it is ready at once")
		}
		r.field(t, "volumesnapshot/slow", "{.status.readyToUse}", is("true"))
	})
	t.Run("broken", func(t *testing.T) {
		r.snapshot(t, "broken", "www-web-0", "reflink-broken")
		r.field(
			t,
			"volumesnapshot/broken",
			"{.status.error.message}",
			func(m string) bool { return strings.Contains(m, "no space in the array") },
		)
		r.kubectl(t, "delete", "volumesnapshot/broken", "--timeout=60s")
	})
	t.Run("static hostPath", func(t *testing.T) { static(t, r) })
	t.Run("deleted volumes are gone", func(t *testing.T) {
		r.kubectl(t, "delete", "job", "--all", "--timeout=60s")
		r.kubectl(t, "delete", "pvc/restored", "pvc/cloned", "--timeout=60s")
		eventually(t, time.Minute, func() error {
			left, err := r.tryKubectl(t, "", "get", "pv", "-o", "jsonpath={.items[*].spec.claimRef.name}")
			for _, claim := range strings.Fields(left) {
				if claim == "restored" || claim == "cloned" {
					return errors.New("left: " + left)
				}
			}
			return err
		})
	})
}

// block writes to a block volume, cuts it and reads the cut. Its pod stays: the cluster ends while the device is in
// use.
func block(t *testing.T, r rig) {
	r.claim(t, "raw", "reflink", "16Mi", "Block", "")
	r.apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:1.35
    command: [sleep, "86400"]
    volumeDevices: [{name: d, devicePath: /dev/raw}]
  volumes: [{name: d, persistentVolumeClaim: {claimName: raw}}]`)
	r.kubectl(t, "wait", "--for=condition=Ready", "pod/raw", "--timeout=60s")
	r.kubectl(t, "exec", "raw", "--", "sh", "-c", "echo raw bytes | dd of=/dev/raw bs=4096 conv=sync,fsync")
	r.snapshot(t, "raw", "raw", "reflink")
	r.field(t, "volumesnapshot/raw", "{.status.readyToUse}", is("true"))
	r.claim(t, "raw-restored", "reflink", "16Mi", "Block", "VolumeSnapshot/raw")
	if got := r.jobUsing(
		t,
		"read-raw",
		"raw-restored",
		"head -c 9 /dev/d",
		"volumeDevices: [{name: d, devicePath: /dev/d}]",
	); got != "raw bytes" {
		t.Errorf("restored block volume: %q", got)
	}
}

// static uses a volume without a provisioner: a folder that both the host and the kubelet know.
func static(t *testing.T, r rig) {
	dir := filepath.Join(r.HostPath(), "static")
	check(t, os.MkdirAll(dir, 0o755))
	r.apply(t, fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: static}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: %s, type: Directory}`, dir))
	r.claim(t, "static", "manual", "1Gi", "Filesystem", "")
	r.job(t, "write-static", "static", "echo static > /d/f")
	got, err := os.ReadFile(filepath.Join(dir, "f"))
	check(t, err)
	if string(got) != "static\n" {
		t.Errorf("on the host: %q", got)
	}
}

func (r rig) snapshot(t *testing.T, name, claim, class string) {
	t.Helper()
	r.apply(t, fmt.Sprintf(`
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: %s}
spec: {volumeSnapshotClassName: %s, source: {persistentVolumeClaimName: %s}}`, name, class, claim))
}

// claim makes a claim, from a source given as KIND/NAME unless it is empty.
func (r rig) claim(t *testing.T, name, class, size, mode, source string) {
	t.Helper()
	from := ""
	if kind, of, found := strings.Cut(source, "/"); found {
		group := ""
		if kind == "VolumeSnapshot" {
			group = "apiGroup: snapshot.storage.k8s.io, "
		}
		from = fmt.Sprintf(", dataSource: {%skind: %s, name: %s}", group, kind, of)
	}
	r.apply(t, fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s}
spec: {accessModes: [ReadWriteOnce], storageClassName: %s, volumeMode: %s, resources: {requests: {storage: %s}}%s}`,
		name, class, mode, size, from))
}

// job runs a command with a claim at /d and returns what it prints.
func (r rig) job(t *testing.T, name, claim, command string) string {
	t.Helper()
	return r.jobUsing(t, name, claim, command, "volumeMounts: [{name: d, mountPath: /d}]")
}

func (r rig) jobUsing(t *testing.T, name, claim, command, use string) string {
	t.Helper()
	r.apply(t, fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "busybox:1.35", command: [sh, -c, %q], %s}]
      volumes: [{name: d, persistentVolumeClaim: {claimName: %s}}]`, name, command, use, claim))
	r.kubectl(t, "wait", "--for=condition=Complete", "job/"+name, "--timeout=60s")
	return r.kubectl(t, "logs", "job/"+name)
}

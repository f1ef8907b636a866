//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"time"
)

// workload is a StatefulSet whose pods keep files on one claim each, template "data", mounted at /data.
type workload struct {
	name     string
	replicas int
	class    string // storage class; "" is the default
	// volumes are further lines under the pod's "volumes:", such as `- {name: cache, emptyDir: {}}`.
	volumes []string
	// claim is an addition to the claim template's spec, such as "volumeMode: Block".
	claim string
}

// script fills the volume of an ordinal with files that differ between ordinals, and with some that are easy to lose: a
// private one of another owner, a hard link, a symbolic link, an empty directory.
const script = `cd /data; if [ ! -e id ]; then echo "I am $(hostname)" > id; head -c 300000 /dev/urandom > noise;
mkdir -p private empty; echo secret > private/key; chmod 600 private/key; chown 999:999 private/key private; chmod 700 private;
ln id hard; ln -s id soft; fi; sync; touch /tmp/ready; exec sleep 1000000`

// manifest is the StatefulSet with its headless Service.
func (w workload) manifest() string {
	class, volumes := "", ""
	if w.class != "" {
		class = "storageClassName: " + w.class
	}
	if len(w.volumes) > 0 {
		volumes = "      volumes:\n        " + strings.Join(w.volumes, "\n        ")
	}
	mounts := "volumeMounts: [{name: data, mountPath: /data}]"
	command := script
	if strings.Contains(w.claim, "Block") {
		mounts = "volumeDevices: [{name: data, devicePath: /dev/data}]"
		command = "touch /tmp/ready; exec sleep 1000000"
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {clusterIP: None, selector: {app: %[1]s}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: %[1]s}
spec:
  serviceName: %[1]s
  replicas: %[2]d
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:1.35
          imagePullPolicy: IfNotPresent
          command: [sh, -c, %[3]q]
          readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
          %[4]s
%[5]s
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        %[6]s
        %[7]s
        resources: {requests: {storage: 64Mi}}
`, w.name, w.replicas, command, mounts, volumes, class, w.claim)
}

// claims names the claims of the workload's ordinals.
func (w workload) claims() []string {
	var names []string
	for ordinal := range w.replicas {
		names = append(names, fmt.Sprintf("data-%s-%d", w.name, ordinal))
	}
	return names
}

// staticVolumes makes volumes on the node's own disk for the given claims.
func (s *scenario) staticVolumes(claims ...string) {
	s.t.Helper()
	s.hostPaths(claims, func(claim string) string {
		return fmt.Sprintf("claimRef: {namespace: %s, name: %s}", s.Namespace, claim)
	})
}

// freeVolumes makes such volumes for any claim.
func (s *scenario) freeVolumes(names ...string) {
	s.t.Helper()
	s.hostPaths(names, func(string) string { return "" })
}

// ownVolumes goes into a claim template whose claims must take no free volumes of another scenario.
func (s *scenario) ownVolumes() string {
	return fmt.Sprintf("selector: {matchLabels: {of: %s}}", s.Namespace)
}

// hostPaths makes volumes of the class "manual", which has no provisioner, each with a directory of its own.
func (s *scenario) hostPaths(names []string, reference func(name string) string) {
	s.t.Helper()
	folder := path.Join("/var/tmp/stsbackup-e2e", s.Namespace)
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := s.KubectlInput(ctx, "", "delete", "pv", "-l", "of="+s.Namespace, "--wait=false"); err != nil {
			s.t.Error(err)
		}
		if err := os.RemoveAll(folder); err != nil { // the node of our own cluster is this machine
			s.t.Error(err)
		}
	})
	var manifests strings.Builder
	await := []string{"wait", "--for=jsonpath={.status.phase}=Available", "--timeout=180s"}
	for _, name := range names {
		await = append(await, "pv/"+s.Namespace+"-"+name)
		fmt.Fprintf(&manifests, `---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-%[2]s, labels: {of: %[1]s}}
spec:
  capacity: {storage: 64Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  persistentVolumeReclaimPolicy: Retain
  %[4]s
  hostPath: {path: %[3]s/%[2]s, type: DirectoryOrCreate}
`, s.Namespace, name, folder, reference(name))
	}
	if _, err := s.KubectlInput(s.ctx, manifests.String(), "apply", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
	s.kubectl(await...)
}

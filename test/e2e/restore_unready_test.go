//go:build e2e

package e2e

import "testing"

// crashing is a StatefulSet whose pods end at once when they find a file "broken" among their data.
const crashing = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  podManagementPolicy: OrderedReady
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: shell
        image: busybox:1.35
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "test ! -e /data/broken || exit 1; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
        readinessProbe: {exec: {command: [test, "!", -e, /data/broken]}, periodSeconds: 1, failureThreshold: 1}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`

// TestRestoreOfCrashingPods is why restores are made at all: the data is damaged, no pod becomes Ready, and the
// StatefulSet controller does not scale down an OrderedReady StatefulSet whose pods are not Ready.
func TestRestoreOfCrashingPods(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "crashing")
	web := s.Namespace + "/web"
	s.apply(crashing, "web")
	for _, pod := range pods() {
		s.exec(pod, "echo good data of "+pod+" > /data/own; sync")
	}
	s.run(0, nil, "backup", web)
	for _, pod := range pods() {
		s.exec(pod, "touch /data/broken; sync")
	}
	for _, pod := range pods() {
		s.kubectl("wait", "--for=condition=Ready=false", "pod/"+pod, "--timeout=180s")
	}

	s.run(0, nil, "restore", web, "--yes")
	for _, pod := range pods() {
		if got, want := s.exec(pod, "cat /data/own; ls /data"), "good data of "+pod+"\nlost+found\nown"; got != want {
			t.Errorf("%s holds %q, want %q", pod, got, want)
		}
	}
	s.nothingLeft()
}

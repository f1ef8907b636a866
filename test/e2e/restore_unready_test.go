//go:build e2e

package e2e

import "testing"

// crashing is a StatefulSet whose pods end at once if they find a file "broken" in their data.
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

// TestRestoreOfCrashingPods is why people restore at all: the data is damaged, no pod becomes Ready, and the
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

// unready is a StatefulSet whose pods are Ready if there is a file "ok" in their data.
const unready = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: shell
        image: busybox:1.35
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "exec sleep 1000000"]
        readinessProbe: {exec: {command: [test, -e, /data/ok]}, periodSeconds: 1, failureThreshold: 1}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`

// TestRestoreIfNotReady restores a recovery point on which no pod becomes Ready. With --if-not-ready undo the old
// volumes come back, and what was restored stays so that people can look at it. An undo of that undo brings it back,
// and leaves it.
func TestRestoreIfNotReady(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "ifnotready")
	web := s.Namespace + "/web"
	if err := s.Apply(s.ctx, unready); err != nil {
		t.Fatal(err)
	}
	both := []string{"web-0", "web-1"}
	for _, pod := range both {
		s.created("pod/" + pod)
		s.kubectl("wait", "pod/"+pod, "--for=jsonpath={.status.phase}=Running", "--timeout=180s")
		s.exec(pod, "echo saved on "+pod+" > /data/own; sync")
	}
	s.run(0, nil, "backup", web)
	for _, pod := range both {
		s.exec(pod, "echo now on "+pod+" > /data/own; touch /data/ok; sync")
	}
	s.waitReady("web")
	volumes := s.kubectl("get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}")

	s.run(
		1,
		[]string{"not Ready", "stsbackup brought the old volumes back"},
		"restore",
		web,
		"--yes",
		"--ready-timeout",
		"20s",
		"--if-not-ready",
		"undo",
	)
	s.waitReady("web")
	for _, pod := range both {
		if got, want := s.exec(pod, "cat /data/own"), "now on "+pod; got != want {
			t.Errorf("%s holds %q, want %q", pod, got, want)
		}
	}
	if got := s.kubectl("get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}"); got != volumes {
		t.Errorf("volumes %s, want %s", got, volumes)
	}
	s.displaced(2)
	s.run(0, []string{"data-web-0", "data-web-1", "undone"}, "undo", web, "--list")
	s.nothingLeft()

	s.run(1, []string{"not Ready", "web-0 container shell runs and is not ready"}, "undo", web, "--yes", "--ready-timeout", "20s")
	for _, pod := range both {
		if got, want := s.exec(pod, "cat /data/own"), "saved on "+pod; got != want {
			t.Errorf("after an undo of the undo %s holds %q, want %q", pod, got, want)
		}
	}
	s.displaced(2)
	s.nothingLeft()
}

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// actors are a StatefulSet of two ordinals, whose pods add a line to their own volume whenever they start, and the
// people and tools that interfere with it.
type actors struct {
	*scenario
	web      string
	manifest string
	// other and saved are the ids of two recovery points; what each volume holds now is in neither of them.
	other, saved string
	// before are the volumes that existed before any restore, with what each holds.
	before map[string]string
	// wished are the volumes that somebody has deleted on purpose.
	wished map[string]bool

	mutex sync.Mutex
	wrote map[string]string // UID and name of the pods that have ever been Ready, and so have written
	loop  context.CancelFunc
	ended sync.WaitGroup
}

// actsManifest takes the storage class. With whenScaled: Delete, data is lost most easily.
const actsManifest = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 2
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete, whenDeleted: Retain}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox:1.35
        imagePullPolicy: IfNotPresent
        env: [{name: UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]
        command: [sh, -c, 'echo "pod $UID" >> /data/lines && sync && touch /tmp/ready; exec sleep 1000000']
        readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: %s, resources: {requests: {storage: 64Mi}}}
`

// newActors makes the StatefulSet, with its recovery points.
func newActors(t *testing.T, c combination) *actors {
	t.Helper()
	s := &actors{
		scenario: newScenario(t, "acts"),
		manifest: fmt.Sprintf(actsManifest, c.class),
		wrote:    map[string]string{},
		wished:   map[string]bool{},
	}
	s.web = s.Namespace + "/web"
	s.watchPods()
	t.Cleanup(s.stopLoop)
	s.apply(s.manifest, "web")
	if c.act.name == "another restore" {
		s.hold("other")
		s.run(0, nil, "backup", s.web)
		s.other = s.latest()
	}
	s.hold("saved")
	s.run(0, nil, "backup", s.web)
	s.saved = s.latest()
	s.hold("old")
	s.before = map[string]string{}
	for ordinal := range 2 {
		volume := s.kubectl("get", "pvc", fmt.Sprintf("data-web-%d", ordinal), "-o", "jsonpath={.spec.volumeName}")
		s.before[volume] = fmt.Sprintf("old of ordinal %d", ordinal)
	}
	return s
}

// hold gives each ordinal the data of a generation.
func (s *actors) hold(generation string) {
	s.t.Helper()
	for ordinal := range 2 {
		s.exec(fmt.Sprintf("web-%d", ordinal), fmt.Sprintf("echo %s of ordinal %d > /data/own; sync", generation, ordinal))
	}
}

// latest returns the newest recovery point.
func (s *actors) latest() string {
	s.t.Helper()
	var points []struct{ ID string }
	out := s.run(0, nil, "list", s.web, "-o", "json").Stdout
	if err := json.Unmarshal([]byte(out), &points); err != nil || len(points) == 0 {
		s.t.Fatalf("%v: %s", err, out)
	}
	newest := ""
	for _, point := range points { // ids sort by time
		newest = max(newest, point.ID)
	}
	return newest
}

// watchPods records in wrote which pods have written, from now until the end of the test.
func (s *actors) watchPods() {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	cmd := exec.CommandContext(ctx, s.Env.Kubectl, "--kubeconfig", s.Kubeconfig, "--namespace", s.Namespace, "get", "pods",
		"--selector", "app=web", "--watch", "--output",
		`jsonpath={.metadata.uid} {.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}`)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for line := range linesOf(out) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "True" {
				s.mutex.Lock()
				s.wrote[fields[0]] = fields[1]
				s.mutex.Unlock()
			}
		}
	}()
	s.t.Cleanup(func() {
		stop()
		<-ended
		_ = cmd.Wait() // it was killed
	})
}

// act is what somebody does while no stsbackup runs.
type act struct {
	name string
	do   func(s *actors)
}

// allActs are what people, controllers and other tools do.
func allActs() []act {
	return []act{
		{"nothing", func(*actors) {}},
		{"scale up", (*actors).scaleUp},
		{"apply the manifest", (*actors).applyAgain},
		{"replace the manifest", (*actors).replace},
		{"delete and make again", func(s *actors) {
			s.kubectl("delete", "statefulset", "web", "--timeout=60s")
			s.kubectl("wait", "--for=delete", "pod", "--selector=app=web", "--timeout=60s")
			s.apply(s.manifest, "web")
		}},
		{"delete a claim", (*actors).deleteClaim},
		{"a loop sets replicas", (*actors).startLoop},
		{"another restore", func(s *actors) {
			journal := s.journal()
			result, err := s.Run(s.ctx, nil, "restore", s.web+"@"+s.other, "--yes")
			if err != nil {
				s.t.Fatal(err)
			}
			if result.Code == 5 && journal == "" || result.Code != 5 && result.Code != 0 {
				s.t.Errorf("another restore, with the journal in phase %q: %s", journal, result)
			}
		}},
		{"a backup", func(s *actors) {
			journal := s.journal()
			result, err := s.Run(s.ctx, nil, "backup", s.web)
			if err != nil {
				s.t.Fatal(err)
			}
			if result.Code == 5 && journal == "" || result.Code != 5 && result.Code != 0 {
				s.t.Errorf("a backup, with the journal in phase %q: %s", journal, result)
			}
		}},
	}
}

// thens are what a person types afterwards.
func thens() map[string]func(s *actors) []string {
	return map[string]func(s *actors) []string{
		"resume":  func(s *actors) []string { return []string{"restore", s.web, "--resume", "--yes"} },
		"undo":    func(s *actors) []string { return []string{"undo", s.web, "--yes"} },
		"restore": func(s *actors) []string { return []string{"restore", s.web + "@" + s.saved, "--yes"} },
		"keep":    func(s *actors) []string { return []string{"restore", s.web, "--keep-present", "--yes"} },
	}
}

// held reports whether new pods of the StatefulSet must wait.
func (s *actors) held() bool {
	s.t.Helper()
	return strings.Contains(
		s.kubectl("get", "statefulset", "web", "-o", "jsonpath={.spec.template.spec.schedulingGates}"),
		"stsbackup.io/restoring",
	)
}

// scaleUp is kubectl scale. Pods that are made in the middle of a restore wait.
func (s *actors) scaleUp() {
	s.t.Helper()
	s.kubectl("scale", "statefulset", "web", "--replicas=2")
	s.startsOrWaits()
}

// applyAgain is kubectl apply, as a person or a GitOps tool does it: it sets what the manifest says, and leaves alone
// what the manifest does not mention, such as the gate.
func (s *actors) applyAgain() {
	s.t.Helper()
	if err := s.Apply(s.ctx, s.manifest); err != nil {
		s.t.Fatal(err)
	}
	s.startsOrWaits()
}

// replace is a tool that replaces the whole object: the gate goes, and pods run on whatever volumes there are.
func (s *actors) replace() {
	s.t.Helper()
	_, manifest, _ := strings.Cut(s.manifest, "---\n") // a Service cannot be replaced, because its address would change
	if _, err := s.KubectlInput(s.ctx, manifest, "--namespace", s.Namespace, "replace", "-f", "-"); err != nil {
		s.t.Fatal(err)
	}
	s.waitReady("web")
}

// startsOrWaits waits until the pods are Ready or, if the StatefulSet is held, until they exist and wait.
func (s *actors) startsOrWaits() {
	s.t.Helper()
	if !s.held() {
		s.waitReady("web")
		return
	}
	s.until("two pods wait for the end of the restore", func() (bool, string) {
		got := s.kubectl("get", "pods", "--selector=app=web", "-o",
			`jsonpath={range .items[*]}{.status.phase} {.status.conditions[?(@.type=="PodScheduled")].reason} {.spec.nodeName}{"\n"}{end}`)
		if strings.Contains(got, "Running") {
			s.t.Fatalf("a pod runs in the middle of a restore:\n%s", got)
		}
		return strings.Count(got, "Pending SchedulingGated") == 2, got
	})
}

// deleteClaim is kubectl delete pvc: a person wants to lose the data of that claim.
func (s *actors) deleteClaim() {
	s.t.Helper()
	for _, volume := range s.volumes() {
		if volume.Spec.ClaimRef.Name == "data-web-1" && volume.Status.Phase == "Bound" && volume.Spec.PersistentVolumeReclaimPolicy == "Delete" {
			s.wished[volume.Metadata.Name] = true
		}
	}
	s.kubectl("delete", "pvc", "data-web-1", "--ignore-not-found", "--wait=false")
}

// startLoop sets the replicas every second, until stopLoop.
func (s *actors) startLoop() {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	s.loop = stop
	s.ended.Go(func() {
		for ctx.Err() == nil {
			// It does not matter whether the StatefulSet exists, or can be scaled at this moment.
			_, _ = s.Kubectl(ctx, "scale", "statefulset", "web", "--replicas=2")
			wait(ctx, time.Second)
		}
	})
	s.startsOrWaits()
}

// stopLoop ends the loop, if there is one.
func (s *actors) stopLoop() {
	if s.loop != nil {
		s.loop()
	}
	s.ended.Wait()
}

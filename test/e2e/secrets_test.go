//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/stsbackup/stsbackup/test/harness"
	"github.com/stsbackup/stsbackup/test/leak"
)

// secrets collects what all tests do, and is judged when they have ended; TestMain sets it before the first of them.
var secrets *leak.Collector

// planted is the name of the secret that must be found.
const planted = "the planted secret"

// watchForSecrets looks for passwords and keys in everything that the tests make, until ctx ends. Then judge says what
// it has found.
func watchForSecrets(ctx context.Context) (judge func() error, err error) {
	config, err := clientcmd.BuildConfigFromFlags("", environment.Kubeconfig)
	if err != nil {
		return nil, err
	}
	secrets = leak.New()
	secrets.Guard("the S3 secret key", environment.SecretKey)
	var mu sync.Mutex
	roots := map[string]string{} // root passwords by the namespaces that they are for
	environment.New = func(t *harness.Tenant) {
		secrets.Guard("the root password of "+t.Namespace, t.Password())
		mu.Lock()
		defer mu.Unlock()
		roots[t.Namespace] = t.Password()
	}
	secrets.Derive = func(namespace, statefulSet string) map[string]string {
		mu.Lock()
		defer mu.Unlock()
		root, known := roots[namespace]
		if !known {
			return nil
		}
		return map[string]string{
			"the repository password of " + namespace + "/" + statefulSet: harness.RepositoryPassword(root, namespace, statefulSet),
		}
	}
	environment.Seen = func(r harness.Result) {
		secrets.Text(leak.PlaceOutput, strings.Join(r.Args[:min(2, len(r.Args))], " "), []byte(r.Stdout+r.Stderr))
	}
	wait, err := secrets.Watch(ctx, config)
	if err != nil {
		return nil, err
	}
	return func() error {
		wait()
		return judgeSecrets()
	}, nil
}

// judgeSecrets fails if a secret was found where none belongs. TestSecretsWouldBeFound shows that it looks everywhere.
func judgeSecrets() error {
	if logs := os.Getenv("STSBACKUP_TEST_LOGS"); logs != "" {
		if err := secrets.Files(logs); err != nil {
			return fmt.Errorf("look for secrets in the logs of the cluster's components: %w", err)
		}
	}
	var errs []error
	for _, finding := range secrets.Findings("") {
		if finding.Secret != planted {
			errs = append(errs, fmt.Errorf("a secret shows: %s", finding))
		}
	}
	return errors.Join(errs...)
}

// plantedIn lists objects that can hold the secret, which is its first argument; the second is the namespace.
const plantedIn = `
apiVersion: v1
kind: ConfigMap
metadata: {name: planted}
data: {key: "x %[1]s"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: planted}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "busybox:1.35", command: [sh, -c, "sleep 60; exit 0 # the command is never run: %[1]s"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: planted}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.35
    command: [sh, -c, "echo $SECRET; sleep 60"]
    env: [{name: SECRET, valueFrom: {secretKeyRef: {name: planted, key: key}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: planted}
stringData: {key: %[1]q}
---
apiVersion: v1
kind: Event
metadata: {name: planted}
involvedObject: {kind: Pod, name: planted, namespace: %[2]s}
message: "base64 %[1]s"
reason: Planted
type: Normal
`

// TestSecretsWouldBeFound plants a secret in each place where the tests look for one.
func TestSecretsWouldBeFound(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "planted")
	secret := "planted-" + rand.Text()
	secrets.Guard(planted, secret)
	s.created("serviceaccount/default") // without it the API server refuses a single pod
	s.apply(fmt.Sprintf(plantedIn, secret, s.Namespace))
	process := exec.CommandContext(s.ctx, "sh", "-c", "read line", secret)
	stdin, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Wait() }) // closing the pipe ends it
	if _, err := s.Run(s.ctx, nil, "backup", s.Namespace+"/"+secret); err != nil {
		t.Fatal(err)
	}
	want := []string{"ConfigMap", "Job", "Pod", "Event", leak.PlaceLog, leak.PlaceProcess, leak.PlaceOutput}
	s.until("the planted secret is found everywhere", func() (bool, string) {
		found := map[string]bool{}
		for _, finding := range secrets.Findings(planted) {
			found[finding.Place] = true
			if strings.Contains(finding.String(), secret) {
				t.Errorf("the finding shows it: %s", finding)
			}
		}
		var missing []string
		for _, place := range want {
			if !found[place] {
				missing = append(missing, place)
			}
		}
		return len(missing) == 0, "not yet in " + strings.Join(missing, ", ")
	})
	for _, finding := range secrets.Findings(planted) {
		if finding.Place == "Secret" {
			t.Errorf("Secrets are looked at: %s", finding)
		}
	}
}

// until waits for a condition. When the scenario's time is over, it fails the test and says what is missing.
func (s *scenario) until(what string, done func() (bool, string)) {
	s.t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, missing := done()
		if ok {
			return
		}
		select {
		case <-s.ctx.Done():
			s.t.Fatalf("waited in vain until %s: %s", what, missing)
		case <-tick.C:
		}
	}
}

// TestMoversHaveNoToken looks at a mover's pod as the API server has admitted it.
func TestMoversHaveNoToken(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "token")
	s.apply(workload{name: "web", replicas: 1}.manifest(), "web")
	pods := s.observePods("stsbackup.io/mover")
	s.run(0, nil, "backup", s.Namespace+"/web")
	seen := 0
	for _, text := range pods() {
		var pod struct {
			Metadata struct{ Name string }
			Spec     struct {
				ServiceAccountName           string
				AutomountServiceAccountToken *bool
				Volumes                      []map[string]json.RawMessage
				Containers                   []struct{ VolumeMounts []struct{ MountPath string } }
			}
		}
		if err := json.Unmarshal(text, &pod); err != nil {
			t.Fatal(err)
		}
		seen++
		if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("pod %s is given a token", pod.Metadata.Name)
		}
		for _, volume := range pod.Spec.Volumes {
			if volume["persistentVolumeClaim"] == nil && volume["secret"] == nil && volume["emptyDir"] == nil {
				t.Errorf("pod %s has the volume %s", pod.Metadata.Name, volume)
			}
		}
		for _, mount := range pod.Spec.Containers[0].VolumeMounts {
			if strings.HasPrefix(mount.MountPath, "/var/run/secrets") {
				t.Errorf("pod %s mounts %s", pod.Metadata.Name, mount.MountPath)
			}
		}
		if rights := s.kubectl(
			"auth",
			"can-i",
			"--list",
			"--no-headers",
			"--as=system:serviceaccount:"+s.Namespace+":"+pod.Spec.ServiceAccountName,
			"--as-group=system:serviceaccounts",
		); strings.Contains(rights, "secrets") ||
			strings.Contains(rights, "pods") {
			t.Errorf("the account of pod %s has rights:\n%s", pod.Metadata.Name, rights)
		}
	}
	if seen == 0 {
		t.Error("no mover pod was seen")
	}
}

// observePods watches the pods of the namespace that have a label. pods ends the watch and returns the pods, as they
// were at first.
func (s *scenario) observePods(label string) (pods func() []json.RawMessage) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	cmd := exec.CommandContext(ctx, s.Env.Kubectl, "--kubeconfig", s.Kubeconfig, "--namespace", s.Namespace, "get", "pods",
		"--selector", label, "--watch", "--output", "json")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		s.t.Fatal(err)
	}
	byName := map[string]json.RawMessage{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		decoder := json.NewDecoder(out)
		for {
			var text json.RawMessage
			var head struct{ Metadata struct{ UID string } }
			if decoder.Decode(&text) != nil || json.Unmarshal(text, &head) != nil {
				return
			}
			if _, known := byName[head.Metadata.UID]; !known {
				byName[head.Metadata.UID] = text
			}
		}
	}()
	return func() []json.RawMessage {
		stop()
		<-ended
		_ = cmd.Wait() // it was killed
		var all []json.RawMessage
		for _, text := range byName {
			all = append(all, text)
		}
		return all
	}
}

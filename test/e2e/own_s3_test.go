//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// ownBucket is an S3 server of the scenario's own, which a test can stop without harm to others.
type ownBucket struct {
	*scenario
	endpoint string // as pods reach it
}

// newBucket starts the server with a bucket called show. It runs the image of the cluster's own server. All accounts,
// except the one that all tests have, are in a file, which setUsers writes.
func (s *scenario) newBucket() ownBucket {
	s.t.Helper()
	image, err := s.KubectlInput(
		s.ctx,
		"",
		"--namespace",
		"s3",
		"get",
		"deployment",
		"s3",
		"--output",
		"jsonpath={.spec.template.spec.containers[0].image}",
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: s3}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 256Mi}}}
`)
	return s.serve(fmt.Sprintf(`
      initContainers:
      - {name: bucket, image: "busybox:1.35", command: [mkdir, -p, /data/show], volumeMounts: [{name: data, mountPath: /data}]}
      containers:
      - name: s3
        image: %s
        imagePullPolicy: Never
        args: ["--port", ":7070", "--iam-dir", "/accounts", "--iam-cache-disable", "posix", "/data"]
        env:
        - {name: ROOT_ACCESS_KEY, valueFrom: {secretKeyRef: {name: s3, key: access}}}
        - {name: ROOT_SECRET_KEY, valueFrom: {secretKeyRef: {name: s3, key: secret}}}
        readinessProbe: {tcpSocket: {port: 7070}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}, {name: accounts, mountPath: /accounts}]
      - {name: accounts, image: "busybox:1.35", command: [sleep, "1000000"], volumeMounts: [{name: accounts, mountPath: /accounts}]}
      volumes: [{name: data, persistentVolumeClaim: {claimName: s3}}, {name: accounts, emptyDir: {}}]
`, image))
}

// serve starts an S3 server that listens on port 7070 and has a bucket called show, and waits until it answers. It
// takes the containers and volumes from pod; the keys are in the Secret s3.
func (s *scenario) serve(pod string) ownBucket {
	s.t.Helper()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: s3}
stringData: {access: %q, secret: %q}
---
apiVersion: v1
kind: Service
metadata: {name: s3}
spec: {selector: {app: s3}, ports: [{name: s3, port: 7070}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s3}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: s3}}
  template:
    metadata: {labels: {app: s3}}
    spec:
      terminationGracePeriodSeconds: 1
%s`, s.AccessKey, s.SecretKey, pod))
	b := ownBucket{scenario: s, endpoint: "http://s3." + s.Namespace + ".svc.cluster.local:7070"}
	b.await()
	return b
}

func (b ownBucket) await() {
	b.t.Helper()
	b.kubectl("rollout", "status", "deployment/s3", "--timeout=180s")
}

// stop ends the server; its data stays. start brings it back.
func (b ownBucket) stop() {
	b.t.Helper()
	b.kubectl("scale", "deployment/s3", "--replicas=0")
	b.kubectl("wait", "--for=delete", "pod", "--selector=app=s3", "--timeout=180s")
}

func (b ownBucket) start() {
	b.t.Helper()
	b.kubectl("scale", "deployment/s3", "--replicas=1")
	b.await()
}

// setUsers makes the server accept these secret keys, by access key, and no others except the one that all tests have.
func (b ownBucket) setUsers(secretKeys map[string]string) {
	b.t.Helper()
	type account struct {
		Access string `json:"access"`
		Secret string `json:"secret"`
		Role   string `json:"role"`
	}
	accounts := map[string]account{}
	for access, secret := range secretKeys {
		secrets.Guard("the secret key of "+access, secret)
		accounts[access] = account{Access: access, Secret: secret, Role: "admin"}
	}
	text, err := json.Marshal(map[string]any{"accessAccounts": accounts})
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.KubectlInput(
		b.ctx,
		string(text),
		"--namespace",
		b.Namespace,
		"exec",
		"--stdin",
		"deployment/s3",
		"--container",
		"accounts",
		"--",
		"sh",
		"-c",
		"cat > /accounts/new && mv /accounts/new /accounts/users.json",
	)
	if err != nil {
		b.t.Fatal(err)
	}
}

// repo is a repository root in the bucket.
func (b ownBucket) repo() string {
	return "s3://show/root?endpoint=" + b.endpoint + "&region=us-east-1"
}

// forward lets this machine reach the server until ctx ends, and returns the endpoint.
func (b ownBucket) forward(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(
		ctx,
		b.Env.Kubectl,
		"--kubeconfig",
		b.Kubeconfig,
		"--namespace",
		b.Namespace,
		"port-forward",
		"service/s3",
		":7070",
	)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if match := regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+)`).FindStringSubmatch(lines.Text()); match != nil {
			go func() {
				for lines.Scan() { // it prints a line for each connection
					continue
				}
				_ = cmd.Wait() // ended by ctx
			}()
			return "http://" + match[1], nil
		}
	}
	return "", fmt.Errorf("kubectl port-forward: %w", cmd.Wait())
}

// podUID is the pod's UID, by which its processes are known.
func (s *scenario) podUID(namespace, pod string) string {
	s.t.Helper()
	out, err := s.KubectlInput(s.ctx, "", "--namespace", namespace, "get", "pod", pod, "--output", "jsonpath={.metadata.uid}")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

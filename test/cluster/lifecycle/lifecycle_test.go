//go:build lifecycle

package lifecycle

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLifecycle takes one cluster through its life: up, up again, used in every way that tests will, ended in the worst way, and down.
func TestLifecycle(t *testing.T) {
	r := newRig(t)
	before := lookAtHost(t, r.Cluster)
	r.do(t, "up")
	status := r.holder(t)
	alive := inhabitantsOf(t, status.PID)

	ok := t.Run("up again is no change", func(t *testing.T) {
		r.do(t, "up")
		if again := r.holder(t); again.PID != status.PID || again.API != status.API {
			t.Errorf("the cluster was %+v and is %+v", status, again)
		}
		r.do(t, "status")
	})
	ok = ok && t.Run("from the host", func(t *testing.T) { fromTheHost(t, r) })
	ok = ok && t.Run("NetworkPolicies", func(t *testing.T) { networkPolicies(t, r) })
	ok = ok && t.Run("storage", func(t *testing.T) { storage(t, r) })
	ok = ok && t.Run("load-image", func(t *testing.T) {
		if out := r.do(t, "load-image"); !strings.Contains(out, "MiB") {
			t.Errorf("no sizes are printed: %s", out)
		}
	})
	if !ok {
		return // the logs are kept
	}
	t.Run("kill -9 of the holder, with volumes in use and one frozen", func(t *testing.T) {
		r.do(t, "in", "sh", "-c", `fsfreeze --freeze "$(awk '$3 == "ext4" && $2 ~ /globalmount/ {print $2; exit}' /proc/self/mounts)"`)
		check(t, syscall.Kill(status.PID, syscall.SIGKILL))
		r.do(t, "down")
		leftNothing(t, r.Cluster, before, alive)
	})
	t.Run("down when there is nothing", func(t *testing.T) {
		r.do(t, "down")
		leftNothing(t, r.Cluster, before, alive)
		if _, err := r.run(t.Context(), "status"); err == nil {
			t.Error("status succeeds without a cluster")
		}
	})
}

// TestDown ends a cluster in the ordinary way.
func TestDown(t *testing.T) {
	r := newRig(t)
	before := lookAtHost(t, r.Cluster)
	r.do(t, "up")
	alive := inhabitantsOf(t, r.holder(t).PID)
	r.do(t, "down")
	leftNothing(t, r.Cluster, before, alive)
}

// TestKilledWhileStarting kills the harness with SIGKILL after each of the steps that it reports.
func TestKilledWhileStarting(t *testing.T) {
	for step := range 5 {
		t.Run(fmt.Sprintf("after step %d", step), func(t *testing.T) {
			r := newRig(t)
			before := lookAtHost(t, r.Cluster)
			up := r.command(t.Context(), "up")
			out, err := up.StdoutPipe()
			check(t, err)
			check(t, up.Start())
			var alive inhabitants
			for lines, seen := bufio.NewScanner(out), 0; lines.Scan(); {
				t.Log(lines.Text())
				// Steps are indented and begin with a time.
				if !strings.Contains(lines.Text(), "s  ") {
					continue
				}
				if seen == step {
					alive = inhabitantsOf(t, r.holder(t).PID)
					check(t, up.Process.Kill())
					break
				}
				seen++
			}
			_ = up.Wait() // it was killed
			if alive.namespaces == nil {
				t.Fatal("the start had fewer steps")
			}
			r.do(t, "down")
			leftNothing(t, r.Cluster, before, alive)
		})
	}
}

// fromTheHost uses the API server and S3 as programs on the host do.
func fromTheHost(t *testing.T, r rig) {
	if got := r.kubectl(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"); got != "node-a" {
		t.Errorf("nodes: %s", got)
	}
	r.apply(t, web)
	r.kubectl(t, "rollout", "status", "statefulset/web", "--timeout=90s")
	if got := r.kubectl(t, "exec", "web-1", "--", "hostname"); got != "web-1" {
		t.Errorf("exec: %q", got)
	}
	r.kubectl(t, "exec", "web-0", "--", "sh", "-c", "echo page of web-0 > /usr/share/nginx/html/index.html")
	// By name and from another pod: the name server, kube-proxy and the pods' network.
	if got := r.kubectl(t, "exec", "web-1", "--", "bash", "-c", httpGet("web-0.web.default.svc", 80)); !strings.Contains(
		got,
		"page of web-0",
	) {
		t.Errorf("http://web-0.web.default.svc: %q", got)
	}
	if got := r.kubectl(t, "exec", "web-1", "--", "bash", "-c", httpGet("s3.s3.svc.cluster.local", r.S3.Port)); !strings.Contains(got, "403") {
		t.Errorf("S3 without credentials, from a pod: %q", got)
	}
	eventually(t, 10*time.Second, func() error {
		log, err := r.tryKubectl(t, "", "logs", "web-0")
		if err == nil && !strings.Contains(log, "GET /") {
			err = fmt.Errorf("log: %q", log)
		}
		return err
	})
	response, err := http.Get("http://" + r.holder(t).S3)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("S3 without credentials, from the host: %s", response.Status)
	}
	portForward(t, r)
	text, err := os.ReadFile(r.Env())
	check(t, err)
	for _, name := range []string{
		"KUBECONFIG", "STSBACKUP_TEST_S3_ENDPOINT", "STSBACKUP_TEST_S3_POD_ENDPOINT", "AWS_ACCESS_KEY_ID", "STSBACKUP_IMAGE",
	} {
		if !strings.Contains(string(text), "export "+name+"=") {
			t.Errorf("the env file has no %s:\n%s", name, text)
		}
	}
}

// httpGet is a shell command that fetches / from a server and prints the answer.
func httpGet(host string, port int) string {
	return fmt.Sprintf(`exec 3<>/dev/tcp/%s/%d; printf 'GET / HTTP/1.0\r\nHost: %s\r\n\r\n' >&3; cat <&3`, host, port, host)
}

func portForward(t *testing.T, r rig) {
	ctx, cancel := context.WithCancel(t.Context())
	forward := r.command(ctx, "status")
	forward.Path, forward.Args = r.Program("kubectl"), []string{"kubectl", "--kubeconfig", r.Kubeconfig(), "port-forward", "pod/web-0", ":80"}
	out, err := forward.StdoutPipe()
	check(t, err)
	check(t, forward.Start())
	defer func() {
		cancel()
		_ = forward.Wait() // it was killed
	}()
	// "Forwarding from 127.0.0.1:40123 -> 80"
	line := bufio.NewScanner(out)
	if !line.Scan() {
		t.Fatal("port-forward says nothing")
	}
	fields := strings.Fields(line.Text())
	response, err := http.Get("http://" + fields[2])
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("through port-forward: %s", response.Status)
	}
}

const web = `
apiVersion: v1
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
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: nginx
        image: nginx:1.22
        readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
        volumeMounts: [{name: www, mountPath: /usr/share/nginx/html}]
  volumeClaimTemplates:
  - metadata: {name: www, labels: {group: web}}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
`

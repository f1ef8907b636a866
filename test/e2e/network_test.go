//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestNetworkPolicies applies the NetworkPolicies of deploy to pods with the labels of the deployed ones: they let
// through what stsbackup needs, and nothing else. Without the policies everything goes through.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "network")
	var policies string
	pods := fmt.Sprintf(peer, os.Getenv("STSBACKUP_TEST_BIN"))
	for _, overlay := range []string{"scheduler", "cronjob"} {
		policies += s.networkPolicies(overlay)
		pods += "---" + podOf(overlay, s.deployedLabels(overlay))
	}
	s.created("serviceaccount/default") // without it the API server refuses a single pod
	s.apply(pods)
	s.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")

	allowed, refused := s.ways()
	s.open("without any NetworkPolicy", slices.Concat(allowed, refused))
	s.apply(policies)
	s.until("the NetworkPolicies are enforced", func() (bool, string) {
		closed := s.closed(refused)
		return len(closed) == len(refused), "closed are only: " + strings.Join(closed, ", ")
	})
	s.open("with the NetworkPolicies", allowed)
}

// open waits until all ways are open. A try gives up after three seconds, which a busy machine may need.
func (s *scenario) open(when string, ways []way) {
	s.t.Helper()
	s.until("connections are made "+when, func() (bool, string) {
		closed := s.closed(ways)
		return len(closed) == 0, "there is no way " + strings.Join(closed, ", ")
	})
}

// way is a connection that a pod tries to make, with a command that fails if it cannot.
type way struct{ name, from, command string }

// ways are the connections that the NetworkPolicies allow, and those that they do not.
func (s *scenario) ways() (allowed, refused []way) {
	s.t.Helper()
	bucket, err := url.Parse(s.PodEndpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	address := func(pod string) string { return s.kubectl("get", "pod", pod, "--output", "jsonpath={.status.podIP}") }
	tcp := func(address, port string) string { return fmt.Sprintf("nc -w 3 %s %s </dev/null", address, port) }
	byName := func(host, port string) string {
		return tcp(fmt.Sprintf("$(nslookup -type=a %s | awk '/^Address/ {a = $2} END {print a}')", host), port)
	}
	udp := func(port string) string {
		return fmt.Sprintf("timeout 3 nslookup -type=a any.test %s:%s", address("peer"), port)
	}
	for _, pod := range []string{"scheduler", "cronjob"} {
		allowed = append(allowed,
			way{"from the " + pod + " to the bucket, by its name", pod, byName(bucket.Hostname(), bucket.Port())},
			way{"from the " + pod + " to the API server, by its name", pod, byName("kubernetes.default.svc.cluster.local", "443")},
			way{"from the " + pod + " to UDP port 53", pod, udp("53")},
		)
		refused = append(refused,
			way{"from the " + pod + " to UDP port 5353", pod, udp("5353")},
			way{"to port 9090 of the " + pod, "peer", tcp(address(pod), "9090")},
		)
	}
	allowed = append(allowed, way{"to the metrics of the scheduler", "peer", tcp(address("scheduler"), "8080")})
	refused = append(refused, way{"to port 8080 of the cronjob", "peer", tcp(address("cronjob"), "8080")})
	return allowed, refused
}

// closed tries ways, those from one pod together, and names those that gave no connection.
func (s *scenario) closed(ways []way) []string {
	s.t.Helper()
	scripts := map[string]string{}
	for _, w := range ways {
		scripts[w.from] += fmt.Sprintf("%s >/dev/null 2>&1 || echo '%s'\n", w.command, w.name)
	}
	var closed []string
	for _, pod := range slices.Sorted(maps.Keys(scripts)) {
		if out := s.exec(pod, scripts[pod]); out != "" {
			closed = append(closed, strings.Split(out, "\n")...)
		}
	}
	return closed
}

// rendered is what an overlay consists of, in the scenario's namespace.
func (s *scenario) rendered(overlay string) []string {
	s.t.Helper()
	dir := s.clone()
	s.writeFile(dir, "kustomization.yaml", "resources: [../deploy/overlays/"+overlay+"]\nnamespace: "+s.Namespace+"\n")
	out, err := s.KubectlInput(s.ctx, "", "kustomize", dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Split(out, "\n---\n")
}

// networkPolicies are the NetworkPolicies of an overlay, which must have at least one.
func (s *scenario) networkPolicies(overlay string) string {
	s.t.Helper()
	var found string
	for _, object := range s.rendered(overlay) {
		if strings.Contains(object, "\nkind: NetworkPolicy\n") {
			found += "---\n" + object + "\n"
		}
	}
	if found == "" {
		s.t.Fatalf("overlay %s has no NetworkPolicy", overlay)
	}
	return found
}

// deployedLabels are the labels of the pods of an overlay.
func (s *scenario) deployedLabels(overlay string) map[string]string {
	s.t.Helper()
	type template struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	for _, text := range s.rendered(overlay) {
		var object struct {
			Spec struct {
				Template    template `json:"template"`
				JobTemplate struct {
					Spec struct {
						Template template `json:"template"`
					} `json:"spec"`
				} `json:"jobTemplate"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			s.t.Fatalf("overlay %s: %v", overlay, err)
		}
		for _, labels := range []map[string]string{object.Spec.Template.Metadata.Labels, object.Spec.JobTemplate.Spec.Template.Metadata.Labels} {
			if len(labels) > 0 {
				return labels
			}
		}
	}
	s.t.Fatalf("overlay %s has no pods with labels", overlay)
	return nil
}

// podOf is a pod that accepts connections on the ports 8080, which is named metrics, and 9090.
func podOf(name string, labels map[string]string) string {
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&lines, "\n    %s: %q", key, labels[key])
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: %s
  labels:%s
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.35
    command: [sh, -c, "httpd -p 9090; exec httpd -f -p 8080"]
    ports: [{name: metrics, containerPort: 8080}]
    readinessProbe: {tcpSocket: {port: metrics}, periodSeconds: 1}
`, name, lines.String())
}

// peer is a pod that no NetworkPolicy selects, with a name server that answers every question, on the ports 53 and
// 5353: so a client that asks by UDP knows whether it was heard. The server runs the binary of this machine, which is
// the node.
const peer = `
apiVersion: v1
kind: ConfigMap
metadata: {name: peer}
data:
  Corefile: |
    .:53 .:5353 {
      template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
      }
    }
---
apiVersion: v1
kind: Pod
metadata: {name: peer}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "busybox:1.35", command: [sleep, "1000000"]}
  - name: names
    image: busybox:1.35
    command: [/programs/coredns, -conf, /configuration/Corefile]
    readinessProbe: {tcpSocket: {port: 5353}, periodSeconds: 1}
    volumeMounts:
    - {name: programs, mountPath: /programs, readOnly: true}
    - {name: configuration, mountPath: /configuration, readOnly: true}
  volumes:
  - {name: programs, hostPath: {path: %q, type: Directory}}
  - {name: configuration, configMap: {name: peer}}
`

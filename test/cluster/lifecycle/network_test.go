//go:build lifecycle

package lifecycle

import (
	"fmt"
	"testing"
	"time"
)

// way is a connection that a pod makes.
type way struct {
	from, host string
	port       int
}

// networkPolicies closes a pod of the StatefulSet web, whose pods run, in both directions by a NetworkPolicy; and opens
// it again.
func networkPolicies(t *testing.T, r rig) {
	address := func(pod string) string { return r.kubectl(t, "get", "pod", pod, "-o", "jsonpath={.status.podIP}") }
	connect := func(w way) error {
		_, err := r.tryKubectl(t, "", "exec", w.from, "--", "timeout", "3", "bash", "-c", httpGet(w.host, w.port))
		return err
	}
	// Over the bridge, to a process of the node, and to another pod through the node.
	closed := []way{
		{"web-1", address("web-0"), 80}, {"web-0", address("web-1"), 80},
		{"web-0", "web-1.web.default.svc", 80}, {"web-0", r.S3Address.String(), r.S3.Port},
	}
	open := []way{
		{"web-1", address("web-1"), 80}, {"web-1", "web-1.web.default.svc", 80}, {"web-1", r.S3Address.String(), r.S3.Port},
	}
	for _, w := range append(closed, open...) {
		check(t, connect(w))
	}
	r.apply(t, closeWeb0)
	began := time.Now()
	for _, w := range closed {
		eventually(t, 90*time.Second, func() error {
			if connect(w) == nil {
				return fmt.Errorf("from %s to %s the NetworkPolicy allows nothing, and it goes through", w.from, w.host)
			}
			return nil
		})
	}
	t.Logf("closed within %s", time.Since(began).Round(100*time.Millisecond))
	for _, w := range open {
		check(t, connect(w))
	}
	// The kubelet's probes come from the node, which no policy keeps out.
	if ready := r.kubectl(t, "get", "pod", "web-0", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`); ready != "True" {
		t.Errorf("the closed pod's readiness is %s", ready)
	}
	r.kubectl(t, "delete", "networkpolicy", "web-0")
	for _, w := range closed {
		eventually(t, 90*time.Second, func() error { return connect(w) })
	}
}

const closeWeb0 = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-0}
spec: {podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: web-0}}, policyTypes: [Ingress, Egress]}
`

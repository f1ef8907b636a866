//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// TestLeaseNamespace runs two schedulers whose kubeconfigs name different namespaces. Because of --lease-namespace they
// still know of each other, so that one leads, and the other takes over.
func TestLeaseNamespace(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "lease")
	s.writeFile(s.Dir, "policies.yaml", fmt.Sprintf(`apiVersion: stsbackup.io/v1
kind: Policies
repository: %s
policies: [{name: all, select: {namespaces: [%s]}, schedule: "@daily"}]
`, s.Repo(s.Endpoint), s.Namespace))
	holder := func() string {
		return s.kubectl("get", "lease", "scheduler.stsbackup.io", "--output=jsonpath={.spec.holderIdentity}")
	}
	first := s.startScheduler("default")
	first.until(`"msg":"leading"`)
	leads := holder()
	second := s.startScheduler("kube-public")
	second.until(`"msg":"another one leads","leader":"` + leads + `"`)
	renewed := s.kubectl("get", "lease", "scheduler.stsbackup.io", "--output=jsonpath={.spec.renewTime}")
	s.until("the leader has renewed its Lease, which the other one reads as often", func() (bool, string) {
		now := s.kubectl("get", "lease", "scheduler.stsbackup.io", "--output=jsonpath={.spec.renewTime}")
		return now != renewed, now
	})
	if now := holder(); now != leads || strings.Contains(second.sofar(), `"msg":"leading"`) {
		t.Errorf("the Lease is held by %q, and was by %q, or both lead:\n%s", now, leads, &second.said)
	}
	first.signal(syscall.SIGTERM)
	if code := first.end(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &first.said)
	}
	second.until(`"msg":"leading"`)
	if now := holder(); now == leads || now == "" {
		t.Errorf("the Lease is held by %q, and was by %q", now, leads)
	}
	second.signal(syscall.SIGTERM)
	if code := second.end(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &second.said)
	}
}

// startScheduler starts a scheduler whose kubeconfig names this namespace, and whose Lease is in the scenario's.
func (s *scenario) startScheduler(namespace string) *process {
	s.t.Helper()
	config, err := clientcmd.LoadFromFile(s.Operator)
	if err != nil {
		s.t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	path := filepath.Join(s.Dir, namespace+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		s.t.Fatal(err)
	}
	return s.start("scheduler", "--policies", filepath.Join(s.Dir, "policies.yaml"), "--listen", "127.0.0.1:0",
		"--kubeconfig", path, "--lease-namespace", s.Namespace)
}

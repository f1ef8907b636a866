package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// kustomization is what the tests read from one.
type kustomization struct {
	Resources          []string `json:"resources"`
	ConfigMapGenerator []struct {
		Files []string `json:"files"`
	} `json:"configMapGenerator"`
}

// TestEveryFileIsApplied: a file that its kustomization does not name, or a folder that its overlay leaves out,
// protects nothing.
func TestEveryFileIsApplied(t *testing.T) {
	folders := map[string][]string{
		"base": nil, "cronjob": nil,
		"overlays/scheduler": {"../../base"}, "overlays/cronjob": {"../../base", "../../cronjob"}, "overlays/namespaced": {"../../cronjob"},
	}
	found, err := filepath.Glob("*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	overlays, err := filepath.Glob("overlays/*/kustomization.yaml")
	if err != nil || len(found)+len(overlays) != len(folders) {
		t.Fatalf("%q and %q, want those of %d folders; %v", found, overlays, len(folders), err)
	}
	for folder, want := range folders {
		text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var read kustomization
		if err := yaml.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); name != "kustomization.yaml" {
				want = append(want, name)
			}
		}
		got := read.Resources
		for _, generator := range read.ConfigMapGenerator {
			got = append(got, generator.Files...)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-files +kustomization):\n%s", folder, diff)
		}
	}
}

// TestDrainedOneAtATime: if no pod could be unavailable, nobody could drain nodes; if more than one could, nobody would
// lead meanwhile.
func TestDrainedOneAtATime(t *testing.T) {
	budget := read[policyv1.PodDisruptionBudget](t, "overlays", "scheduler", "poddisruptionbudget.yaml").Spec
	one := intstr.FromInt32(1)
	if diff := cmp.Diff(&one, budget.MaxUnavailable); diff != "" || budget.MinAvailable != nil {
		t.Errorf("at least %v, and of those that may be missing (-want +got):\n%s", budget.MinAvailable, diff)
	}
}

// TestNetworkPolicies: metrics in, DNS and TCP out, and nothing else.
func TestNetworkPolicies(t *testing.T) {
	port := func(protocol corev1.Protocol, port intstr.IntOrString, end *int32) []networkingv1.NetworkPolicyPort {
		return []networkingv1.NetworkPolicyPort{{Protocol: &protocol, Port: &port, EndPort: end}}
	}
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	out := []networkingv1.NetworkPolicyEgressRule{
		{Ports: port(corev1.ProtocolUDP, intstr.FromInt32(53), nil)},
		{Ports: port(corev1.ProtocolTCP, intstr.FromInt32(1), new(int32(65535)))},
	}
	for folder, want := range map[string]networkingv1.NetworkPolicySpec{
		"overlays/scheduler": {
			PolicyTypes: both, Egress: out,
			Ingress: []networkingv1.NetworkPolicyIngressRule{{Ports: port(corev1.ProtocolTCP, intstr.FromString("metrics"), nil)}},
		},
		"cronjob": {PolicyTypes: both, Egress: out},
	} {
		got := read[networkingv1.NetworkPolicy](t, folder, "networkpolicy.yaml").Spec
		want.PodSelector = got.PodSelector // TestSelectorsSelect checks that it selects the pods
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
}

// TestNamespaceIsRestricted: in this namespace the API server refuses what TestPodsAreRestricted would refuse.
func TestNamespaceIsRestricted(t *testing.T) {
	labels := read[corev1.Namespace](t, "base", "namespace.yaml").Labels
	if level := labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q", level)
	}
}

// TestCronJobsWaitForEachOther: of two backups of a StatefulSet at the same time, one refuses to run, and its Job
// fails.
func TestCronJobsWaitForEachOther(t *testing.T) {
	for _, file := range []string{"backup.yaml", "prune.yaml"} {
		if policy := read[batchv1.CronJob](t, "cronjob", file).Spec.ConcurrencyPolicy; policy != batchv1.ForbidConcurrent {
			t.Errorf("%s: concurrency policy %q", file, policy)
		}
	}
}

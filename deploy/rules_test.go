package deploy

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// TestRules: the rights that a person is told to be missing are those that the manifest grants, for the command that
// needs them.
func TestRules(t *testing.T) {
	granted := func(rules []rbacv1.PolicyRule, resource, verb string) bool {
		return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
			return slices.Contains(r.Resources, resource) && slices.Contains(r.Verbs, verb)
		})
	}
	for _, tt := range []struct {
		resource, verb  string
		backup, restore bool
	}{
		{"jobs", "create", true, true},
		{"volumesnapshots", "create", true, true},
		{"leases", "update", true, true},
		{"configmaps", "get", true, true},
		{"configmaps", "create", false, true},
		{"statefulsets", "patch", false, true},
		{"storageclasses", "list", true, true},
		{"volumeattachments", "list", false, true},
		{"events", "create", false, false},    // the scheduler's
		{"namespaces", "watch", false, false}, // the scheduler's
		{"secrets", "get", false, false},
	} {
		for verb, want := range map[string]bool{"backup": tt.backup, "restore": tt.restore} {
			rules, err := Rules(verb)
			if err != nil {
				t.Fatal(err)
			}
			if got := granted(rules, tt.resource, tt.verb); got != want {
				t.Errorf("%s: %s %s: %v", verb, tt.verb, tt.resource, got)
			}
		}
	}
}

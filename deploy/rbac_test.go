package deploy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var update = flag.Bool("update", false, "write the table of rights into docs/rbac.md")

func labelsOf(template corev1.PodTemplateSpec) labels.Set { return template.Labels }

// commented is a rule with the comment above it.
type commented struct {
	rbacv1.PolicyRule
	why string
}

// rules reads the rules of a role with their comments.
func rules(t *testing.T, path ...string) []commented {
	t.Helper()
	role := read[rbacv1.ClusterRole](t, path...)
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var found []commented
	top := document.Content[0]
	for i := 0; i < len(top.Content); i += 2 {
		if top.Content[i].Value != "rules" {
			continue
		}
		for n, node := range top.Content[i+1].Content {
			found = append(found, commented{role.Rules[n], comment(node.HeadComment)})
		}
	}
	if len(found) != len(role.Rules) || len(found) == 0 {
		t.Fatalf("%d of %d rules read", len(found), len(role.Rules))
	}
	return found
}

// comment returns the text of a comment, without headings.
func comment(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#"))
		if line != "" && !strings.HasPrefix(line, "----") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// TestEveryRuleSaysWhy: nobody dares to remove a right that nobody can explain.
func TestEveryRuleSaysWhy(t *testing.T) {
	for _, path := range [][]string{
		{"base", "clusterrole.yaml"}, {"overlays", "namespaced", "clusterrole.yaml"}, {"overlays", "namespaced", "role.yaml"},
	} {
		for _, rule := range rules(t, path...) {
			if rule.why == "" {
				t.Errorf("%s: nothing says why %s may be used with %s", filepath.Join(path...), rule.Resources, rule.Verbs)
			}
			if len(rule.APIGroups) != 1 || strings.Contains(strings.Join(append(rule.Resources, rule.Verbs...), " "), "*") {
				t.Errorf("%s: %s with %s grants more than it names", filepath.Join(path...), rule.Resources, rule.Verbs)
			}
		}
	}
}

// TestTable keeps docs/rbac.md equal to the manifests.
func TestTable(t *testing.T) {
	const begin, end = "<!-- rights: written by `go test ./deploy -run TestTable -update` -->\n", "<!-- /rights -->\n"
	base := rules(t, "base", "clusterrole.yaml")
	inside, everywhere := verbsOf(rules(t, "overlays", "namespaced", "role.yaml")), verbsOf(
		rules(t, "overlays", "namespaced", "clusterrole.yaml"),
	)
	var table strings.Builder
	table.WriteString("| resource | verbs | what needs it | overlay `namespaced` |\n|---|---|---|---|\n")
	for _, rule := range base {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", strings.Join(objects(rule.PolicyRule), "`, `"), strings.Join(rule.Verbs, ", "), rule.why,
			granted(rule.PolicyRule, inside, everywhere))
	}
	file := filepath.Join("..", "docs", "rbac.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", file)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the manifests say; run go test ./deploy -run TestTable -update", file)
	}
}

// objects names what a rule is about: "jobs.batch", "namespaces kube-system".
func objects(rule rbacv1.PolicyRule) []string {
	var names []string
	for _, resource := range rule.Resources {
		if rule.APIGroups[0] != "" {
			resource += "." + rule.APIGroups[0]
		}
		names = append(names, strings.TrimSpace(resource+" "+strings.Join(rule.ResourceNames, " ")))
	}
	return names
}

// verbsOf returns the allowed verbs, by object.
func verbsOf(rules []commented) map[string]map[string]bool {
	verbs := map[string]map[string]bool{}
	for _, rule := range rules {
		for _, object := range objects(rule.PolicyRule) {
			if verbs[object] == nil {
				verbs[object] = map[string]bool{}
			}
			for _, verb := range rule.Verbs {
				verbs[object][verb] = true
			}
		}
	}
	return verbs
}

// granted says which part of a rule the overlay for one namespace has.
func granted(rule rbacv1.PolicyRule, inside, everywhere map[string]map[string]bool) string {
	var here, there []string
	for _, object := range objects(rule) {
		for _, verb := range rule.Verbs {
			switch {
			case everywhere[object][verb]:
				there = append(there, verb)
			case inside[object][verb]:
				here = append(here, verb)
			}
		}
	}
	switch {
	case len(there) > 0:
		return strings.Join(there, ", ") + " (in the whole cluster)"
	case len(here) == len(rule.Verbs):
		return "in its namespace"
	case len(here) > 0:
		return strings.Join(here, ", ") + ", in its namespace"
	default:
		return "no"
	}
}

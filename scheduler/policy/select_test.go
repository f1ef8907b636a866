package policy

import (
	"fmt"
	"strings"
	"testing"
)

// parse reads valid policies.
func parse(t *testing.T, policies string) *File {
	t.Helper()
	file, err := Parse("p.yaml", []byte(head+"\n"+policies), nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// one is a file with one policy that has this selector.
func one(t *testing.T, selector string) *File {
	t.Helper()
	return parse(t, "- {name: p, select: {"+selector+"}, schedule: '@daily'}\n")
}

func TestSelect(t *testing.T) {
	t.Parallel()
	web := StatefulSet{
		Namespace: "prod", Name: "web-db",
		Labels: map[string]string{"app": "web", "tier": "db"}, NamespaceLabels: map[string]string{"team": "shop", "backup": "true"},
	}
	for selector, want := range map[string]bool{
		`namespaces: ["*"]`:                                true,
		`namespaces: [prod]`:                               true,
		`namespaces: [dev, "pr*"]`:                         true,
		`namespaces: [pro]`:                                false,
		`namespaces: ["?rod"]`:                             true,
		`namespaces: ["?prod"]`:                            false,
		`names: [web-db]`:                                  true,
		`names: ["*-db"]`:                                  true,
		`names: [web]`:                                     false,
		`names: [prod.web-db]`:                             false,
		`namespaceLabels: {team: shop}`:                    true,
		`namespaceLabels: {team: shop, backup: "true"}`:    true,
		`namespaceLabels: {team: shop, stage: a}`:          false,
		`namespaceLabels: "team in (shop,blog),!stage"`:    true,
		`statefulSetLabels: {app: web}`:                    true,
		`statefulSetLabels: "tier notin (db)"`:             false,
		`statefulSetLabels: {team: shop}`:                  false,
		`namespaces: [prod], names: [other]`:               false,
		`namespaces: [prod], statefulSetLabels: {app: x}`:  false,
		`namespaces: ["*"], exclude: [web-db]`:             false,
		`namespaces: ["*"], exclude: ["web-*"]`:            false,
		`namespaces: ["*"], exclude: [prod/web-db]`:        false,
		`namespaces: ["*"], exclude: ["*/web-db"]`:         false,
		`namespaces: ["*"], exclude: ["prod/*"]`:           false,
		`namespaces: ["*"], exclude: [dev/web-db, "dev*"]`: true,
		`namespaces: ["*"], exclude: [prod]`:               true, // a name, and no namespace
	} {
		if got := one(t, selector).Assign(web); (got.Policy != nil) != want || got.Problem != "" || got.Annotated {
			t.Errorf("select %s: %+v, want %t", selector, got, want)
		}
	}
	if got := one(t, `namespaceLabels: {team: shop}`).Assign(StatefulSet{Namespace: "x", Name: "y"}); got.Policy != nil {
		t.Errorf("no labels: %+v", got)
	}
}

// TestAssign: the annotation decides first, then the order of the file.
func TestAssign(t *testing.T) {
	t.Parallel()
	file := parse(t, `
- {name: gold, select: {statefulSetLabels: {tier: gold}}, schedule: "@hourly"}
- {name: silver, select: {namespaces: [prod]}, schedule: "@daily"}
- {name: rest, select: {namespaces: ["*"], exclude: [scratch]}, schedule: "@weekly"}
`)
	gold := map[string]string{"tier": "gold"}
	annotated := func(name string) map[string]string { return map[string]string{Annotation: name} }
	for _, test := range []struct {
		set  StatefulSet
		want string
	}{
		{StatefulSet{Namespace: "prod", Name: "a", Labels: gold}, "gold [silver rest]"},
		{StatefulSet{Namespace: "prod", Name: "a"}, "silver [rest]"},
		{StatefulSet{Namespace: "dev", Name: "a", Labels: gold}, "gold [rest]"},
		{StatefulSet{Namespace: "dev", Name: "a"}, "rest []"},
		{StatefulSet{Namespace: "dev", Name: "scratch"}, "none []"},
		{StatefulSet{Namespace: "dev", Name: "scratch", Annotations: annotated("rest")}, "rest [] annotated"},
		{StatefulSet{Namespace: "prod", Name: "a", Labels: gold, Annotations: annotated("rest")}, "rest [] annotated"},
		{StatefulSet{Namespace: "prod", Name: "a", Labels: gold, Annotations: annotated("none")}, "none [] annotated"},
		{
			StatefulSet{Namespace: "prod", Name: "a", Annotations: annotated("Silver")},
			`none [] annotated: the annotation stsbackup.io/policy names the policy "Silver", which does not exist; did you mean "silver"?`,
		},
		{
			StatefulSet{Namespace: "prod", Name: "a", Annotations: annotated("no")},
			`none [] annotated: the annotation stsbackup.io/policy names the policy "no", which does not exist; did you mean "none"?`,
		},
		{
			StatefulSet{Namespace: "prod", Name: "a", Annotations: annotated("")},
			`none [] annotated: the annotation stsbackup.io/policy names the policy "", which does not exist`,
		},
	} {
		got := file.Assign(test.set)
		name := None
		if got.Policy != nil {
			name = got.Policy.Name
		}
		text := name + " [" + strings.Join(got.Also, " ") + "]"
		if got.Annotated {
			text += " annotated"
		}
		if got.Problem != "" {
			text += ": " + got.Problem
		}
		if text != test.want {
			t.Errorf("%s/%s %v: %s, want %s", test.set.Namespace, test.set.Name, test.set.Annotations, text, test.want)
		}
	}
}

func TestNeedsNamespaceLabels(t *testing.T) {
	t.Parallel()
	for selector, want := range map[string]bool{`names: [a]`: false, `namespaceLabels: {a: b}`: true} {
		if got := one(t, selector).NeedsNamespaceLabels(); got != want {
			t.Errorf("select %s: %t", selector, got)
		}
	}
}

// sets returns many StatefulSets, as a cluster has them.
func sets(count int) []StatefulSet {
	all := make([]StatefulSet, count)
	for i := range all {
		all[i] = StatefulSet{Namespace: fmt.Sprintf("team-%d", i%7), Name: fmt.Sprintf("db-%d", i)}
	}
	return all
}

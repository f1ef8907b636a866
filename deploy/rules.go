package deploy

import (
	_ "embed" // the manifest
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// ClusterRolePath is where the manifest with all rights is, for a person.
const ClusterRolePath = "deploy/base/clusterrole.yaml"

//go:embed base/clusterrole.yaml
var clusterRole string

// The headings of the manifest's sections that not everybody needs.
const (
	sectionSchedule = "schedule"
	sectionDiscard  = "discard"
	sectionRestore  = "restore: " // what the names of several begin with
)

// Rules are the rights that the manifest gives for a verb of the command line: for "backup" those that making a recovery point
// takes, for others all but the scheduler's own.
func Rules(verb string) ([]rbacv1.PolicyRule, error) {
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal([]byte(clusterRole), &role); err != nil {
		return nil, fmt.Errorf("read %s: %w", ClusterRolePath, err)
	}
	sections := sectionsOf(clusterRole)
	if len(sections) != len(role.Rules) {
		return nil, fmt.Errorf("read %s: %d rules, and %d of them below headings", ClusterRolePath, len(role.Rules), len(sections))
	}
	var rules []rbacv1.PolicyRule
	for i, rule := range role.Rules {
		ofOthers := sections[i] == sectionDiscard || strings.HasPrefix(sections[i], sectionRestore)
		if sections[i] != sectionSchedule && (verb != "backup" || !ofOthers) {
			rules = append(rules, rule)
		}
	}
	if verb == "backup" { // it looks whether a restore is under way, and whether a temporary claim waits for its mover
		rules = append(rules,
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}},
			rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: []string{"list"}},
		)
	}
	return rules, nil
}

// sectionsOf gives, for each rule of the manifest, the heading that it is below.
func sectionsOf(text string) (sections []string) {
	current := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if heading, isHeading := strings.CutPrefix(line, "# ---- "); isHeading {
			current = strings.TrimSuffix(heading, " ----")
		}
		if strings.HasPrefix(line, "- apiGroups:") {
			sections = append(sections, current)
		}
	}
	return slices.Clip(sections)
}

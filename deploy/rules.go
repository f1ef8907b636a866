package deploy

import (
	_ "embed" // the manifest
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// ClusterRolePath tells a person where the manifest with all rights is.
const ClusterRolePath = "deploy/base/clusterrole.yaml"

//go:embed base/clusterrole.yaml
var clusterRole string

// The headings of the manifest's sections that not everybody needs.
const (
	sectionSchedule = "schedule"
	sectionDiscard  = "discard"
	sectionRestore  = "restore: " // several headings begin with this
)

// Rules returns the rights in the manifest that a command needs. "backup" needs those for making a recovery point;
// other commands need all except the scheduler's own.
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
	if verb == "backup" { // backup checks whether a restore is in progress, and whether a temporary claim waits for its mover
		rules = append(rules,
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}},
			rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: []string{"list"}},
		)
	}
	return rules, nil
}

// sectionsOf returns, for each rule of the manifest, the heading above it.
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

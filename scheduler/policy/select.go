package policy

import (
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stsbackup/stsbackup/internal/nearest"
)

// StatefulSet is what policies know about one.
type StatefulSet struct {
	Namespace, Name     string
	Labels, Annotations map[string]string
	// NamespaceLabels are the labels of the StatefulSet's namespace.
	NamespaceLabels map[string]string
}

// Assignment is the policy of a StatefulSet, and why it has this one.
type Assignment struct {
	// Policy is nil if the StatefulSet has none.
	Policy *Policy
	// Annotated: the annotation decided.
	Annotated bool
	// Also names the later policies in the file that select the StatefulSet too.
	Also []string
	// Problem says why the StatefulSet has no policy although it should; empty if all is well.
	Problem string
}

// Assign finds the policy of a StatefulSet: the one that its annotation names, or else the first that selects it.
func (f *File) Assign(s StatefulSet) Assignment {
	if name, annotated := s.Annotations[Annotation]; annotated {
		return f.assignNamed(name)
	}
	var assignment Assignment
	for i := range f.Policies {
		policy := &f.Policies[i]
		switch {
		case !policy.Select.matches(s):
		case assignment.Policy == nil:
			assignment.Policy = policy
		default:
			assignment.Also = append(assignment.Also, policy.Name)
		}
	}
	return assignment
}

// assignNamed is Assign for a StatefulSet with the annotation.
func (f *File) assignNamed(name string) Assignment {
	assignment := Assignment{Annotated: true}
	if name == None {
		return assignment
	}
	var known []string
	for i := range f.Policies {
		if f.Policies[i].Name == name {
			assignment.Policy = &f.Policies[i]
			return assignment
		}
		known = append(known, f.Policies[i].Name)
	}
	assignment.Problem = fmt.Sprintf("the annotation %s names the policy %.80q, which does not exist", Annotation, name)
	if near := nearest.Name(name, append(known, None)); near != "" {
		assignment.Problem += fmt.Sprintf("; did you mean %q?", near)
	}
	return assignment
}

func (s Selector) matches(set StatefulSet) bool {
	return (len(s.Namespaces) == 0 || matchAny(s.Namespaces, set.Namespace)) &&
		(len(s.Names) == 0 || matchAny(s.Names, set.Name)) &&
		(s.NamespaceLabels == nil || s.NamespaceLabels.Matches(labels.Set(set.NamespaceLabels))) &&
		(s.StatefulSetLabels == nil || s.StatefulSetLabels.Matches(labels.Set(set.Labels))) &&
		!matchAny(s.Exclude, set.Name) && !matchAny(s.Exclude, set.Namespace+"/"+set.Name)
}

// matchAny reports whether a name matches one of the patterns. A * does not match a slash, so patterns of names never
// match a namespace with a name.
func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched // Parse has checked the patterns
	})
}

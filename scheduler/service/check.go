package service

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// nextRuns is how many runs of each StatefulSet a check shows.
const nextRuns = 3

// Cluster is what a check reads from a cluster, once.
type Cluster interface {
	// StatefulSets lists the StatefulSets of a namespace, or of all namespaces if it is empty.
	StatefulSets(ctx context.Context, namespace string) ([]*appsv1.StatefulSet, error)
	// NamespaceLabels are the labels of all namespaces, by the name of the namespace.
	NamespaceLabels(ctx context.Context) (map[string]map[string]string, error)
}

// CheckRequest says what to check.
type CheckRequest struct {
	File    *policy.File
	Cluster Cluster
	// Namespace is the only namespace whose StatefulSets are checked; empty for all.
	Namespace string
	// Nothing says why a StatefulSet has nothing to back up, "" if it has something.
	Nothing func(*appsv1.StatefulSet) string
	// Now is the time after which to look for the next runs.
	Now time.Time
}

// Checked is what the policies of a file mean for the StatefulSets of a cluster.
type Checked struct {
	Policies     []PolicyUse           `json:"policies"`
	StatefulSets []AssignedStatefulSet `json:"statefulSets"`
}

// PolicyUse is a policy and the number of its StatefulSets.
type PolicyUse struct {
	Name         string `json:"name"`
	Schedule     string `json:"schedule"`
	Suspended    bool   `json:"suspended"`
	StatefulSets int    `json:"statefulSets"`
}

// AssignedStatefulSet is a StatefulSet and what its policy means for it.
type AssignedStatefulSet struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	// Policy is empty if the StatefulSet has none.
	Policy string `json:"policy"`
	// Annotated: its annotation decided.
	Annotated bool `json:"annotated"`
	Suspended bool `json:"suspended"`
	// AlsoSelectedBy names later policies in the file that select it too.
	AlsoSelectedBy []string    `json:"alsoSelectedBy,omitempty"`
	NextRuns       []time.Time `json:"nextRuns"`
	// Nothing says why it has nothing to back up.
	Nothing string `json:"nothing,omitempty"`
	// Problem says why it has no policy although it should.
	Problem string `json:"problem,omitempty"`
}

// Problems counts the StatefulSets that have no policy although they should.
func (c Checked) Problems() int {
	problems := 0
	for _, set := range c.StatefulSets {
		if set.Problem != "" {
			problems++
		}
	}
	return problems
}

// Check finds each StatefulSet's policy and next runs. It changes nothing.
func Check(ctx context.Context, request CheckRequest) (Checked, error) {
	sets, err := request.statefulSets(ctx)
	if err != nil {
		return Checked{}, err
	}
	return assign(request.File, sets, request.Now), nil
}

// statefulSets reads what policies look at: StatefulSets, and the labels of their namespaces if any policy asks for them.
func (r CheckRequest) statefulSets(ctx context.Context) ([]scheduler.StatefulSet, error) {
	found, err := r.Cluster.StatefulSets(ctx, r.Namespace)
	if err != nil {
		return nil, err
	}
	var labels map[string]map[string]string
	if r.File.NeedsNamespaceLabels() {
		if labels, err = r.Cluster.NamespaceLabels(ctx); err != nil {
			return nil, err
		}
	}
	sets := make([]scheduler.StatefulSet, 0, len(found))
	for _, set := range found {
		sets = append(sets, scheduler.StatefulSet{Nothing: r.Nothing(set), StatefulSet: policy.StatefulSet{
			Namespace: set.Namespace, Name: set.Name, Labels: set.Labels, Annotations: set.Annotations, NamespaceLabels: labels[set.Namespace],
		}})
	}
	return sets, nil
}

// assign gives each StatefulSet its policy, and counts the StatefulSets of each policy.
func assign(file *policy.File, sets []scheduler.StatefulSet, now time.Time) Checked {
	result := Checked{StatefulSets: []AssignedStatefulSet{}}
	used := map[string]int{}
	for _, set := range sets {
		assignment := file.Assign(set.StatefulSet)
		shown := AssignedStatefulSet{
			Namespace: set.Namespace, StatefulSet: set.Name, Annotated: assignment.Annotated,
			AlsoSelectedBy: assignment.Also, NextRuns: []time.Time{}, Problem: assignment.Problem, Nothing: set.Nothing,
		}
		if p := assignment.Policy; p != nil {
			shown.Policy, shown.Suspended = p.Name, p.Suspend
			used[p.Name]++
			if set.Nothing == "" {
				shown.NextRuns = runsAfter(now, p, set)
			}
		}
		result.StatefulSets = append(result.StatefulSets, shown)
	}
	for _, p := range file.Policies {
		use := PolicyUse{Name: p.Name, Schedule: p.Schedule.String(), Suspended: p.Suspend, StatefulSets: used[p.Name]}
		result.Policies = append(result.Policies, use)
	}
	return result
}

// runsAfter returns the next runs of a StatefulSet, fewer if its schedule ends.
func runsAfter(at time.Time, p *policy.Policy, set scheduler.StatefulSet) []time.Time {
	runs := []time.Time{}
	for len(runs) < nextRuns {
		if at = p.Next(set.Namespace, set.Name, at); at.IsZero() {
			break
		}
		runs = append(runs, at)
	}
	return runs
}

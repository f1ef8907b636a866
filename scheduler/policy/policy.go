package policy

import (
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/scheduler/clock"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// What a policy file begins with, and the annotation on a StatefulSet that names its policy, whatever the policies
// select. With the value None the StatefulSet has no policy.
const (
	APIVersion = "stsbackup.io/v1"
	Kind       = "Policies"
	Annotation = "stsbackup.io/policy"
	None       = "none"
)

// File is a policy file that Parse has checked.
type File struct {
	// Repository is the URL of the root that contains the repositories.
	Repository string
	// Policies are in the order of the file: the first one that selects a StatefulSet is its policy.
	Policies []Policy
}

// Policy says how some StatefulSets are backed up.
type Policy struct {
	Name   string
	Select Selector
	// Schedule is when to back up, in Zone.
	Schedule clock.Schedule
	Zone     *time.Location
	// Jitter is the longest time by which runs are delayed.
	Jitter time.Duration
	// StartingDeadline is how long after its time a run may still begin; zero means until the next run is due.
	StartingDeadline time.Duration
	// Suspend stops all runs of the policy.
	Suspend bool
	Backup  Backup
	// Keep says what is kept; nil keeps everything.
	Keep *retention.Rules
	// Prune and Verify say when to prune and verify; the zero Schedule is never.
	Prune  clock.Schedule
	Verify Verify
	// DiscardAfter is how long volumes stay that a restore has set aside; the zero Span is for ever.
	DiscardAfter calendar.Span
}

// Backup says how a recovery point is made.
type Backup struct {
	// Method is auto, snapshot or live.
	Method string
	// Parallel is how many volumes of a StatefulSet movers copy at once.
	Parallel int
	// SnapshotReadyTimeout is how long the storage may take, after a cut, until the VolumeSnapshot is ready; zero means
	// the default of the command.
	SnapshotReadyTimeout time.Duration
	// Requests and Limits are the resources of movers, by name.
	Requests, Limits resources.Amounts
	// Env holds environment variables for movers; none of them is secret.
	Env map[string]string
}

// Verify says how recovery points are checked.
type Verify struct {
	Schedule clock.Schedule
	// ReadData is the share of the data to read, from 0 to 1.
	ReadData float64
}

// Selector says which StatefulSets a policy is for: those that all given parts match.
type Selector struct {
	// Namespaces and Names are patterns, of which one must match; Exclude are patterns of which none may match: a name
	// or, with a slash, a namespace and a name. A * stands for any characters, a ? for one.
	Namespaces, Names, Exclude []string
	// NamespaceLabels and StatefulSetLabels must match; nil matches everything.
	NamespaceLabels, StatefulSetLabels labels.Selector
}

// empty reports whether no part of the selector selects anything.
func (s Selector) empty() bool {
	return len(s.Namespaces) == 0 && len(s.Names) == 0 && s.NamespaceLabels == nil && s.StatefulSetLabels == nil
}

// NeedsNamespaceLabels reports whether a policy uses labels of namespaces, which not everyone may read.
func (f *File) NeedsNamespaceLabels() bool {
	for _, policy := range f.Policies {
		if policy.Select.NamespaceLabels != nil {
			return true
		}
	}
	return false
}

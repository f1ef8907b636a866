package scheduler

import (
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// StatefulSet is what the scheduler wants to know of one.
type StatefulSet struct {
	policy.StatefulSet
	// UID tells it from others that had its name.
	UID     string
	Created time.Time
	// Nothing says why it has nothing that could be backed up; empty if it has something.
	Nothing string
}

// Cluster is where the StatefulSets are. It is kept up by watching.
type Cluster interface {
	// StatefulSets are those that there are, in any order.
	StatefulSets() []StatefulSet
	// Changed has a value after what StatefulSets returns has changed.
	Changed() <-chan struct{}
}

// Events tells people what they should know of a StatefulSet, where they look for it: kubectl describe.
type Events interface {
	// Warn and Note never block. The text may be cut.
	Warn(about StatefulSet, reason, text string)
	Note(about StatefulSet, reason, text string)
}

// The reasons of Events on StatefulSets.
const (
	ReasonGivenUp       = "BackupGivenUp"
	ReasonRefused       = "BackupRefused"
	ReasonRecovered     = "BackupRecovered"
	ReasonRepository    = "RepositoryFailed"
	ReasonForgetFailed  = "ForgetFailed"
	ReasonPruneFailed   = "PruneFailed"
	ReasonDamaged       = "DamageFound"
	ReasonVerifyFailed  = "VerifyFailed"
	ReasonDiscarded     = "VolumesDiscarded"
	ReasonDiscardFailed = "DiscardFailed"
	ReasonUnknownPolicy = "UnknownPolicy"
)

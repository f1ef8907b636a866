package scheduler

import (
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// StatefulSet is what the scheduler knows about one.
type StatefulSet struct {
	policy.StatefulSet
	// UID distinguishes it from others that had its name.
	UID     string
	Created time.Time
	// Nothing says why the StatefulSet has nothing to back up; empty if it has something.
	Nothing string
}

// Cluster knows the StatefulSets of a cluster; a watch keeps it up to date.
type Cluster interface {
	// StatefulSets returns all that exist, in any order.
	StatefulSets() []StatefulSet
	// Changed has a value after the result of StatefulSets has changed.
	Changed() <-chan struct{}
}

// Events tells people what they should know about a StatefulSet, where they look for it: kubectl describe.
type Events interface {
	// Warn and Note never block. They may cut the text.
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

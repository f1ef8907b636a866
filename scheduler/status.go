package scheduler

import (
	"slices"
	"sync"
	"time"
)

// Status is the state of a scheduler at one moment: for metrics and for probes.
type Status struct {
	// Leading says that this scheduler is the one that acts; only then there are StatefulSets here.
	Leading bool
	// Ticked is when the loop last went round.
	Ticked time.Time
	// BucketFailing is since when the bucket as a whole cannot be used, and BucketError why; zero if it can.
	BucketFailing time.Time
	BucketError   string
	// PasswordFailing is since when the root password opens no repository though the bucket answers, and PasswordError how that
	// shows; zero if it opens one.
	PasswordFailing time.Time
	PasswordError   string
	// StatefulSets are in the order of their names.
	StatefulSets []StatefulSetStatus
	// Displaced is what restores have set aside, also of StatefulSets that are gone, in the order of their names; of those that
	// have a policy also if that is nothing. It is empty as long as that is not known.
	Displaced []DisplacedStatus
}

// DisplacedStatus is how much is set aside of a StatefulSet.
type DisplacedStatus struct {
	Name
	Volumes int
	Bytes   int64
}

// StatefulSetStatus is the state of a StatefulSet's backups. Times that are not known are zero. Counts are since this
// scheduler has become the leader.
type StatefulSetStatus struct {
	Name
	// Policy is empty if it has none; Problem says why if it should have one.
	Policy, Problem string
	Suspended       bool
	// Known says that its recovery points have been listed.
	Known bool
	// RepositoryFailing is since when they cannot be listed, whether the bucket is to blame or its repository alone.
	RepositoryFailing time.Time
	// LastSuccess is when the newest complete recovery point was begun, LastAttempt when the newest of any kind was, or
	// the last try that left none.
	LastSuccess, LastAttempt time.Time
	// Objective is when the next complete recovery point is to be begun, so that the schedule is kept. It is in the past
	// if that is overdue.
	Objective time.Time
	// Running says that it is being backed up; Failures is how many tries have failed in a row.
	Running  bool
	Failures int
	// Succeeded, Failed and GivenUp count backups: that were complete, that failed (and may be retried), and runs that
	// were given up.
	Succeeded, Failed, GivenUp int
	// BytesRead and BytesStored are of all backups, Phases and Took of the last that was complete.
	BytesRead, BytesStored int64
	Phases                 map[string]time.Duration
	Took                   time.Duration
	ForgetFailed           int
	Prune, Verify          UpkeepStatus
	Discard                DiscardStatus
}

// DiscardStatus is the state of what the policy does about volumes that were set aside.
type DiscardStatus struct {
	Scheduled bool
	// Volumes is how many were freed.
	Volumes int
	// Failed says that the last try failed, or was refused.
	Failed bool
}

// UpkeepStatus is the state of a StatefulSet's prunes or verifications.
type UpkeepStatus struct {
	Scheduled bool
	// LastSuccess is when one was last done; zero if this scheduler has not done any since it has become the leader.
	LastSuccess time.Time
	// Failed says that the last run was given up: it could not be done.
	Failed bool
	// Damaged says that the last verification that could be done has found damage.
	Damaged bool
}

// board is where the loop puts its status, for others to read.
type board struct {
	mutex  sync.Mutex
	status Status
}

func (b *board) put(status Status) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.status = status
}

func (b *board) get() Status {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	status := b.status
	status.StatefulSets, status.Displaced = slices.Clone(status.StatefulSets), slices.Clone(status.Displaced)
	return status
}

package scheduler

import (
	"slices"
	"sync"
	"time"
)

// Status is the state of a scheduler at one moment: for metrics and for probes.
type Status struct {
	// Leading: this scheduler is the leader; only then does the status list StatefulSets.
	Leading bool
	// Ticked is when the loop last went round.
	Ticked time.Time
	// BucketFailing is since when the bucket as a whole is unusable, and BucketError why; zero if it is usable.
	BucketFailing time.Time
	BucketError   string
	// PasswordFailing is since when the root password opens no repository although the bucket answers, and
	// PasswordError is the error; zero if it opens one.
	PasswordFailing time.Time
	PasswordError   string
	// StatefulSets are sorted by name.
	StatefulSets []StatefulSetStatus
	// Displaced is what restores have set aside, sorted by name, also for StatefulSets that no longer exist; a
	// StatefulSet that has a policy is listed even if nothing is set aside for it. It is empty until that is known.
	Displaced []DisplacedStatus
}

// DisplacedStatus is how much is set aside for a StatefulSet.
type DisplacedStatus struct {
	Name
	Volumes int
	Bytes   int64
}

// StatefulSetStatus is the state of a StatefulSet's backups. Unknown times are zero. Counts are since this scheduler
// became the leader.
type StatefulSetStatus struct {
	Name
	// Policy is empty if the StatefulSet has none; Problem says why if it should have one.
	Policy, Problem string
	Suspended       bool
	// Known: its recovery points have been listed.
	Known bool
	// RepositoryFailing is since when its recovery points cannot be listed, whether the bucket or only its repository
	// is the reason.
	RepositoryFailing time.Time
	// LastSuccess is when the newest complete recovery point was begun. LastAttempt is when the newest of any kind was
	// begun, or the last try that left none.
	LastSuccess, LastAttempt time.Time
	// Objective is when the next complete recovery point should be begun to keep the schedule. If that is in the past,
	// it is overdue.
	Objective time.Time
	// Running: a backup of it is running. Failures is how many tries have failed in a row.
	Running  bool
	Failures int
	// Succeeded, Failed and GivenUp count backups that were complete, backups that failed (and may be retried), and
	// runs that were given up.
	Succeeded, Failed, GivenUp int
	// BytesRead and BytesStored add up all backups; Phases and Took are those of the last complete one.
	BytesRead, BytesStored int64
	Phases                 map[string]time.Duration
	Took                   time.Duration
	ForgetFailed           int
	Prune, Verify          UpkeepStatus
	Discard                DiscardStatus
}

// DiscardStatus is the state of the policy's discards of volumes that were set aside.
type DiscardStatus struct {
	Scheduled bool
	// Volumes is how many were freed.
	Volumes int
	// Failed: the last try failed, or was refused.
	Failed bool
}

// UpkeepStatus is the state of a StatefulSet's prunes or verifications.
type UpkeepStatus struct {
	Scheduled bool
	// LastSuccess is when the last one was done; zero if this scheduler has done none since it became the leader.
	LastSuccess time.Time
	// Failed: the last run was given up, because it could not be done.
	Failed bool
	// Damaged: the last verification that could be done has found damage.
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

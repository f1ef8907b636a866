package scheduler

import "time"

// upkeepDeadline is how late a prune or verify may begin, and how long it is retried, if the policy has no
// startingDeadline.
const upkeepDeadline = time.Hour

// upkeep is what is known about the prunes, or the verifications, of a StatefulSet. They leave nothing in the bucket
// that would say when they ran, so only the leader that has done them knows.
type upkeep struct {
	schedule string // the schedule that the rest is about
	next     next
	window   window
	// after is the time up to which runs do not concern this leader, or have been dealt with.
	after time.Time
	// first is when the present run was first tried; zero before that.
	first time.Time
	// owed is the time of the run that was last found to be owed.
	owed     time.Time
	failures int
	busy     int    // how often in a row somebody else was in the way
	reason   string // what was in the way last
	wait     time.Time
	running  bool
	// succeeded is when the last one was done, as far as this leader knows.
	succeeded time.Time
	failed    bool // the last run was given up
	damaged   bool // the last verification that could be done has found damage
}

// judgeUpkeep decides on the prunes or verifications of a StatefulSet. The last run that was due is owed until the next
// one, however long it has to wait for its turn. Once it was tried and has failed, it is owed for as long as deadline.
func judgeUpkeep(u *upkeep, deadline time.Duration, now time.Time) verdict {
	v := verdict{next: u.window.next}
	if u.window.due.IsZero() || !u.window.due.After(u.after) {
		return v
	}
	until := u.window.next
	if !u.first.IsZero() {
		until = earliest(u.first.Add(deadline), until)
		v.exhausted = !now.Before(until)
	}
	return v.owes(u.window, until, u.wait, now)
}

// settle records that the run of this time has been dealt with.
func (u *upkeep) settle(run time.Time) {
	if run.After(u.after) {
		u.after = run
	}
	u.first, u.failures, u.busy, u.wait = time.Time{}, 0, 0, time.Time{}
}

// status is the upkeep for others to read.
func (u *upkeep) status() UpkeepStatus {
	return UpkeepStatus{Scheduled: u.schedule != "never", LastSuccess: u.succeeded, Failed: u.failed, Damaged: u.damaged}
}

package scheduler

import (
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// entry is what the leader knows about one StatefulSet.
type entry struct {
	set        StatefulSet
	assignment policy.Assignment
	operations Operations
	// since is when the leader began to look after the StatefulSet.
	since  time.Time
	window window
	standing
	// known: points have been listed. looked: the leader has tried to list them.
	known, looked bool
	// shown are the recovery points that were last known, for metrics and probes. They stay while the leader does not
	// know which there are now.
	shown    []Point
	wasKnown bool
	listing  listing
	// busyWith is the current task: a backup or a listing. Prunes and verifications have flags of their own, because
	// they do not delay a backup.
	busyWith job
	// owed is the time of the run that was last found to be owed, and until is how long it could begin.
	owed, until time.Time
	// failures counts failed tries in a row, over several runs if need be; reason is the last obstacle.
	failures int
	reason   string
	// busy counts how often in a row somebody else was in the way.
	busy int
	// attempt is when the last backup was begun.
	attempt time.Time
	// troubled: a run was given up, and no run has been complete since.
	troubled      bool
	counts        counts
	last          Result
	took          time.Duration
	prune, verify upkeep
	discard       discarding
}

// counts describe a StatefulSet's backups since this scheduler became the leader.
type counts struct {
	succeeded, failed, givenUp, forgetFailed int
	read, stored                             int64
}

// job is a kind of work.
type job string

const (
	idle      job = ""
	jobLook   job = "look"
	jobBackup job = "backup"
	jobPrune  job = "prune"
	jobVerify job = "verify"
	// jobDisplaced belongs to no StatefulSet.
	jobDisplaced job = "displaced"
	jobDiscard   job = "discard"
)

func (e *entry) name() Name { return Name{e.set.Namespace, e.set.Name} }

// policy is nil if the StatefulSet has no policy, or a suspended one.
func (e *entry) policy() *policy.Policy {
	if p := e.assignment.Policy; p != nil && !p.Suspend {
		return p
	}
	return nil
}

// choice names the policies that select the StatefulSet; the first one decides.
func (e *entry) choice() string {
	if e.assignment.Policy == nil {
		return ""
	}
	return strings.Join(append([]string{e.assignment.Policy.Name}, e.assignment.Also...), " ")
}

// upkeep is what the leader knows about the prunes or the verifications.
func (e *entry) upkeep(kind job) *upkeep {
	if kind == jobPrune {
		return &e.prune
	}
	return &e.verify
}

// rule is what the policy wants for the StatefulSet's backups.
func (e *entry) rule() rule {
	p := e.assignment.Policy
	return rule{
		next:     func(after time.Time) time.Time { return p.Next(e.set.Namespace, e.set.Name, after) },
		deadline: p.StartingDeadline,
	}
}

// upkeepDeadline is how late prunes and verifications may be.
func (e *entry) upkeepDeadline() time.Duration {
	if deadline := e.assignment.Policy.StartingDeadline; deadline > 0 {
		return deadline
	}
	return upkeepDeadline
}

// adopt takes over what the cluster and the policy file say now. It keeps what is known about the recovery points,
// unless they are in another repository now.
func (e *entry) adopt(set StatefulSet, loaded Loaded, now time.Time) {
	first := e.since.IsZero()
	if first {
		e.since = now
	}
	e.set, e.created = set, set.Created
	before := e.assignment.Policy
	e.assignment = loaded.File.Assign(set.StatefulSet)
	if e.assignment.Policy != before {
		e.owed = time.Time{} // under the previous policy; the next decision finds what is owed now
	}
	if e.operations != loaded.Operations {
		e.operations = loaded.Operations
		e.points, e.known, e.looked = nil, false, false
		e.failures, e.wait, e.listing = 0, time.Time{}, listing{}
	}
	e.window = window{} // perhaps of another policy
	p := e.policy()
	if p == nil {
		e.prune, e.verify, e.discard = e.prune.shownOnly(), e.verify.shownOnly(), discarding{running: e.discard.running}
		return
	}
	offset := p.Offset(set.Namespace, set.Name)
	// A new leader repeats what was due a short time ago, because it cannot know whether that was done.
	after := now
	if first {
		after = now.Add(-e.upkeepDeadline())
	}
	if after.Before(set.Created) {
		after = set.Created
	}
	for u, schedule := range map[*upkeep]interface {
		Next(time.Time) time.Time
		String() string
	}{&e.prune: p.Prune, &e.verify: p.Verify.Schedule} {
		if text := schedule.String(); u.schedule != text {
			*u = upkeep{schedule: text, after: after, running: u.running, succeeded: u.succeeded, damaged: u.damaged}
		}
		u.window = window{}
		u.next = func(after time.Time) time.Time {
			due := schedule.Next(after.Add(-offset))
			if due.IsZero() {
				return due
			}
			return due.Add(offset)
		}
	}
}

// objective is when the next complete recovery point should be begun, as far as is known; zero if nothing is owed, or
// if nobody has looked yet. If recovery points cannot be listed, the last known ones count. A leader that has never
// known any counts from its own beginning: it knows of no recovery point for what is due since then, so anyone who
// watches for overdue backups hears of it.
func (e *entry) objective(now time.Time) time.Time {
	switch {
	case e.set.Nothing != "":
		return time.Time{}
	case e.wasKnown:
		return objective(e.rule(), standing{created: e.created, points: e.shown}, now)
	case e.listing.failing.IsZero():
		return time.Time{}
	case e.since.Before(e.created):
		return e.rule().next(e.created)
	default:
		return e.rule().next(e.since)
	}
}

// status is the entry for others to read.
func (e *entry) status(now time.Time) StatefulSetStatus {
	if e.known {
		e.shown, e.wasKnown = e.points, true
	}
	s := StatefulSetStatus{
		Name: e.name(), Problem: e.assignment.Problem, Known: e.wasKnown,
		LastSuccess: lastComplete(e.shown, now), LastAttempt: e.attempt, RepositoryFailing: e.listing.failing,
		Running: e.busyWith == jobBackup, Failures: e.failures,
		Succeeded: e.counts.succeeded, Failed: e.counts.failed, GivenUp: e.counts.givenUp, ForgetFailed: e.counts.forgetFailed,
		BytesRead: e.counts.read, BytesStored: e.counts.stored, Phases: e.last.Phases, Took: e.took,
	}
	for _, p := range e.shown {
		if p.Started.After(s.LastAttempt) && p.believable(now) {
			s.LastAttempt = p.Started
		}
	}
	if p := e.assignment.Policy; p != nil {
		s.Policy, s.Suspended = p.Name, p.Suspend
	}
	if p := e.policy(); p != nil {
		s.Objective = e.objective(now)
		s.Prune, s.Verify = e.prune.status(), e.verify.status()
		s.Discard = DiscardStatus{Scheduled: p.DiscardAfter != (calendar.Span{}), Volumes: e.discard.volumes, Failed: e.discard.failed}
	}
	return s
}

package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/scheduler/policy"
)

const (
	// displacedEvery is how often the scheduler looks at what restores have set aside.
	displacedEvery = 10 * time.Minute
	// discardRetry is how long a discard waits after it has failed or was refused: the reason usually lasts for longer.
	discardRetry = time.Hour
)

// displaced is what the leader knows about the volumes that restores have set aside.
type displaced struct {
	// looked is when the leader last looked; zero if it should look now.
	looked  time.Time
	running bool
	// known: the leader has looked successfully at least once. failing: the last look failed.
	known, failing bool
	of             map[Name]Displaced
}

// discarding is what the leader knows about the discards of a StatefulSet.
type discarding struct {
	running bool
	// wait is until when the leader does not try again.
	wait   time.Time
	failed bool
	reason string
	// volumes is how many volumes were freed since this scheduler became the leader.
	volumes int
}

// decideDisplaced starts to look at what is set aside, if it is time, and returns when that will be.
func (t *term) decideDisplaced(now time.Time) (next time.Time) {
	d := &t.displaced
	if d.running || t.operations == nil {
		return time.Time{}
	}
	next = d.looked.Add(displacedEvery)
	if !d.looked.IsZero() && next.After(now) && !d.looked.After(now) {
		return next
	}
	d.running, d.looked = true, now
	t.start(task{job: jobDisplaced, operations: t.operations, now: t.now})
	return time.Time{}
}

// lookAside finds out what is set aside.
func (o *outcome) lookAside(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	o.displaced, o.err = o.operations.Displaced(ctx)
}

// settleDisplaced takes over which volumes are set aside.
func (t *term) settleDisplaced(o outcome) {
	d := &t.displaced
	d.running = false
	switch {
	case o.err == nil:
		if d.failing {
			t.Log.Info("what restores have set aside is known again")
		}
		d.of, d.known, d.failing = o.displaced, true, false
	case t.ctx.Err() == nil && !d.failing:
		d.failing = true
		t.Log.Warn("what restores have set aside is not known", "error", o.err.Error())
	}
}

// discardBefore: what was set aside before this time, a policy discards now.
func discardBefore(p *policy.Policy, now time.Time) time.Time {
	return p.DiscardAfter.Before(now.In(p.Zone))
}

// discardDue reports whether the policy wants to free some of the StatefulSet's volumes that were set aside.
func (t *term) discardDue(e *entry, now time.Time) bool {
	p := e.policy()
	if p == nil || p.DiscardAfter == (calendar.Span{}) || e.set.Nothing != "" || e.discard.running || t.displaced.running {
		return false
	}
	if waiting(e.discard.wait, now, discardRetry) {
		return false
	}
	oldest := t.displaced.of[e.name()].Oldest
	return !oldest.IsZero() && oldest.Before(discardBefore(p, now))
}

// settleDiscard takes over the outcome of a discard, and logs it in one line.
func (t *term) settleDiscard(o outcome) {
	e := o.entry
	d := &e.discard
	d.running = false
	d.volumes += len(o.discarded.Volumes)
	d.wait = o.ended.Add(displacedEvery)
	t.displaced.looked = time.Time{} // there is less now, or something has happened to it
	result := o.classify(t.ctx.Err() != nil)
	log := o.log(t.Log, result, "volumes", o.discarded.Volumes, "bytes", o.discarded.Bytes)
	if len(o.discarded.Volumes) > 0 {
		t.Events.Note(
			e.set,
			ReasonDiscarded,
			fmt.Sprintf("Volumes that restores had set aside more than %s ago were freed, as the policy %s says: %s",
				o.policy.DiscardAfter, o.policy.Name, strings.Join(o.discarded.Volumes, ", ")),
		)
	}
	switch result {
	case resultDone:
		d.failed, d.reason = false, ""
		log.Info("discard")
	case resultBusy, resultNotReady, resultGone, resultCancelled:
		log.Info("discard", "retryAt", stamp(d.wait))
	default:
		d.wait = o.ended.Add(discardRetry)
		log.Warn("discard", "retryAt", stamp(d.wait))
		if reason := o.err.Error(); reason != d.reason {
			t.Events.Warn(e.set, ReasonDiscardFailed, "What restores have set aside could not be freed, as the policy says: "+reason)
			d.reason = reason
		}
		d.failed = true
	}
}

// displacedStatus is what is set aside, for others to read.
func (t *term) displacedStatus() []DisplacedStatus {
	if !t.displaced.known {
		return nil
	}
	of := maps.Clone(t.displaced.of)
	if of == nil {
		of = map[Name]Displaced{}
	}
	for name, e := range t.entries {
		if _, has := of[name]; !has && e.assignment.Policy != nil {
			of[name] = Displaced{}
		}
	}
	var status []DisplacedStatus
	for name, d := range of {
		status = append(status, DisplacedStatus{Name: name, Volumes: d.Volumes, Bytes: d.Bytes})
	}
	slices.SortFunc(status, func(a, b DisplacedStatus) int { return cmp.Compare(a.String(), b.String()) })
	return status
}

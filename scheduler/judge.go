package scheduler

import (
	"fmt"
	"slices"
	"time"
)

const (
	// clockDifference is how far another machine's clock, by which it dates its recovery points, may be ahead of ours.
	// A recovery point from later than that was made by a wrong clock, and must not count for the runs until then.
	clockDifference = 5 * time.Minute
	// incompleteMost is how many incomplete recovery points the scheduler makes for a run. They usually lack the same
	// each time, while what they hold is saved.
	incompleteMost = 3
)

// rule is what a policy wants for a StatefulSet.
type rule struct {
	next next
	// deadline is how long after its time a run may begin; zero means until the next run is due.
	deadline time.Duration
}

// standing is what is known about the backups of a StatefulSet.
type standing struct {
	// created is when the StatefulSet was created: runs that were due before do not concern it.
	created time.Time
	points  []Point
	// gaveUp is the time of the last run that was given up.
	gaveUp time.Time
	// wait is until when the scheduler does not try again, after a failure.
	wait time.Time
}

// verdict is what to do about the runs of a StatefulSet now.
type verdict struct {
	// run is the time of the run that is owed; zero if none is.
	run time.Time
	// until is when the owed run may no longer begin.
	until time.Time
	// from is when the run may begin: now or before, unless the last failure is too recent.
	from time.Time
	// exhausted: the run has had its incomplete recovery points, and the scheduler should give it up.
	exhausted bool
	// next is when the verdict will change even if nothing happens; zero for never.
	next time.Time
}

// judge decides on the runs of a StatefulSet. It looks only at the last time that was due, so a scheduler that was away
// makes up for one run and never for more.
func judge(r rule, w window, s standing, now time.Time) verdict {
	v := verdict{next: w.next}
	if w.due.IsZero() || w.due.Before(s.created) || w.due.Equal(s.gaveUp) || done(s.points, w.due, now) {
		return v
	}
	until := endOf(r, w)
	if !until.IsZero() && !now.Before(until) {
		return v
	}
	v.exhausted = incompleteSince(s.points, w.due, now) >= incompleteMost
	return v.owes(w, until, s.wait, now)
}

// owes is the verdict that the run of a window is owed until a time, and is not retried before wait has passed.
func (v verdict) owes(w window, until, wait, now time.Time) verdict {
	v.run, v.until, v.from = w.due, until, w.due
	if wait.After(v.from) && plausible(wait, now, backoffMost) {
		v.from = wait
	}
	v.next = earliest(until, w.next)
	if v.from.After(now) {
		v.next = earliest(v.from, v.next)
	}
	return v
}

// waiting reports whether a wait is not over yet.
func waiting(until, now time.Time, most time.Duration) bool {
	return until.After(now) && plausible(until, now, most)
}

// plausible reports whether a wait is no longer than most, the longest that we set. If it is longer, the clock has been
// set back since.
func plausible(until, now time.Time, most time.Duration) bool {
	return !until.After(now.Add(most))
}

// endOf is when the run of a window may no longer begin; zero for never.
func endOf(r rule, w window) time.Time {
	if r.deadline == 0 {
		return w.next
	}
	return earliest(w.due.Add(r.deadline), w.next)
}

// believable reports whether a recovery point was begun before now, within the difference that clocks may have.
func (p Point) believable(now time.Time) bool { return !p.Started.After(now.Add(clockDifference)) }

// done reports whether the run of this time has its recovery point.
func done(points []Point, run, now time.Time) bool {
	return slices.ContainsFunc(points, func(p Point) bool {
		return p.Complete && !p.Started.Before(run) && p.believable(now)
	})
}

// incompleteSince counts the incomplete recovery points that have a record and belong to the run of this time: these
// are attempts, whoever made them. One that has no record yet may be a backup that is still running.
func incompleteSince(points []Point, run, now time.Time) int {
	count := 0
	for _, p := range points {
		if !p.Complete && !p.Finished.IsZero() && !p.Started.Before(run) && p.believable(now) {
			count++
		}
	}
	return count
}

// lastComplete is when the newest complete recovery point was begun; zero if there is none.
func lastComplete(points []Point, now time.Time) time.Time {
	var last time.Time
	for _, p := range points {
		if p.Complete && p.Started.After(last) && p.believable(now) {
			last = p.Started
		}
	}
	return last
}

// objective is when the next complete recovery point should be begun to keep the schedule: the first due time after the
// last one or, if the StatefulSet has none, after its creation. If that is in the past, the backup is overdue.
func objective(r rule, s standing, now time.Time) time.Time {
	last := lastComplete(s.points, now)
	if last.Before(s.created) {
		last = s.created
	}
	return r.next(last)
}

// earliest is the earlier of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// lapse says why a run was given up that could not begin in time.
func lapse(run, until time.Time, reason string) string {
	return fmt.Sprintf("the backup that was due at %s could not be made by %s: %s", stamp(run), stamp(until), reason)
}

// stamp writes a time for people and programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

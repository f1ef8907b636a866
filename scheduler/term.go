package scheduler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// term is the time of a leader, from its election to its end. It belongs to the goroutine of the loop; tasks have
// goroutines of their own and report outcomes.
type term struct {
	*Scheduler
	ctx      context.Context
	cancel   context.CancelFunc
	began    time.Time
	entries  map[Name]*entry
	outcomes chan outcome
	// active is how many tasks run. backups and upkeeps are counts by namespace.
	active, looks    int
	backups, upkeeps map[string]int
	// looked: the leader has looked at all StatefulSets that existed at the beginning, or looking took too long.
	looked bool
	// listed is how many listings of recovery points have succeeded.
	listed int
	// bucket: the bucket as a whole is unusable. password: the root password opens no repository.
	bucket, password trouble
	// operations are those of the present policies.
	operations Operations
	displaced  displaced
}

// trouble is something that hits all StatefulSets: since when, zero if not at all, and the error.
type trouble struct {
	since time.Time
	why   string
}

func newTerm(ctx context.Context, s *Scheduler) *term {
	ctx, cancel := context.WithCancel(ctx)
	t := &term{
		Scheduler: s, ctx: ctx, cancel: cancel, entries: map[Name]*entry{}, outcomes: make(chan outcome),
		backups: map[string]int{}, upkeeps: map[string]int{},
	}
	t.began = t.now()
	return t
}

// now is the time on the wall, even if somebody has set the clock: Round removes Go's monotonic reading.
func (t *term) now() time.Time { return t.Now().Round(0) }

// refresh takes over the present StatefulSets and policies.
func (t *term) refresh(now time.Time) {
	loaded := t.Policies.Current()
	t.operations = loaded.Operations
	gone := maps.Clone(t.entries)
	for _, set := range t.Cluster.StatefulSets() {
		name := Name{set.Namespace, set.Name}
		delete(gone, name)
		e := t.entries[name]
		if e == nil || e.set.UID != set.UID {
			if e != nil {
				t.remember(e) // another StatefulSet of the same name, with the same repository
			}
			e = t.recall(name)
			t.entries[name] = e
		}
		before, also := e.assignment.Problem, e.choice()
		e.adopt(set, loaded, now)
		if len(e.assignment.Also) > 0 && e.choice() != also {
			t.Log.Info("selected by several policies; the first in the file decides", "statefulset", name.String(),
				"policy", e.assignment.Policy.Name, "alsoSelectedBy", e.assignment.Also)
		}
		if problem := e.assignment.Problem; problem != "" && problem != before {
			t.Log.Warn("not backed up", "statefulset", name.String(), "problem", problem)
			t.Events.Warn(set, ReasonUnknownPolicy, "It is not backed up: "+problem)
		}
	}
	// A task that is still running keeps its entry, and ends when it finds that its StatefulSet is gone.
	for name, e := range gone {
		t.remember(e)
		delete(t.entries, name)
	}
}

// decide begins what should begin now, reports what no longer can, and returns how long there will be nothing to do.
func (t *term) decide(now time.Time) (nap time.Duration) {
	t.lookedAtAll(now)
	wake := earliest(now.Add(longestNap), t.decideDisplaced(now))
	var backups, upkeeps []candidate
	kinds := map[Name]job{}
	for _, e := range t.sorted() {
		if e.policy() == nil {
			e.owed = time.Time{}
			continue
		}
		ready, next := t.decideBackup(e, now)
		wake = earliest(wake, next)
		if ready {
			backups = append(backups, candidate{name: e.name(), last: lastComplete(e.points, now), run: e.owed})
		}
		// A discard would only be in the way of a backup that runs or is about to run. One at a time is enough.
		free := !ready && e.busyWith == idle && !e.prune.running && !e.verify.running && !e.discard.running
		for _, kind := range []job{jobVerify, jobPrune} {
			u := e.upkeep(kind)
			due, next := t.decideUpkeep(e, kind, now)
			wake = earliest(wake, next)
			if due && free && kinds[e.name()] == idle {
				upkeeps = append(upkeeps, candidate{name: e.name(), last: u.succeeded, run: u.window.due})
				kinds[e.name()] = kind
			}
		}
		if free && kinds[e.name()] == idle && t.discardDue(e, now) {
			upkeeps = append(upkeeps, candidate{name: e.name(), last: now, run: now}) // after all others: it is not urgent
			kinds[e.name()] = jobDiscard
		}
	}
	if t.looked {
		for _, c := range choose(backups, t.backups, t.Limits.Overall, t.Limits.PerNamespace) {
			t.begin(t.entries[c.name], jobBackup, c.run)
		}
	}
	for _, c := range choose(upkeeps, t.upkeeps, t.Limits.Upkeep, t.Limits.Upkeep) {
		t.begin(t.entries[c.name], kinds[c.name], c.run)
	}
	return max(shortestNap, wake.Sub(now))
}

// lookedAtAll finds out whether backups may begin.
func (t *term) lookedAtAll(now time.Time) {
	if t.looked {
		return
	}
	since := now.Sub(t.began)
	t.looked = since >= looksFirst || since < 0
	if !t.looked {
		t.looked = true
		for _, e := range t.entries {
			t.looked = t.looked && (e.looked || e.policy() == nil || e.set.Nothing != "")
		}
	}
}

// decideBackup says whether a backup of the StatefulSet could begin now, and when to ask again. If its recovery points
// are unknown, it lists them first.
func (t *term) decideBackup(e *entry, now time.Time) (ready bool, next time.Time) {
	if e.set.Nothing != "" {
		e.owed = time.Time{}
		return false, time.Time{}
	}
	e.window = e.window.move(e.rule().next, now)
	if e.busyWith == jobBackup {
		return false, time.Time{}
	}
	if !e.known {
		return false, t.decideLook(e, now)
	}
	v := judge(e.rule(), e.window, e.standing, now)
	t.lapsed(e, v.run, now)
	e.owed, e.until = v.run, v.until
	if v.run.IsZero() {
		return false, v.next
	}
	if v.exhausted {
		t.giveUp(e, cmp.Or(e.reason, "its recovery points are incomplete"))
		return false, v.next
	}
	return !v.from.After(now), v.next
}

// decideLook begins to list recovery points, if it is time and others leave room. Meanwhile it reports as owed only
// runs that became due since the leader looks after the StatefulSet: nobody knows whether earlier ones are done.
func (t *term) decideLook(e *entry, now time.Time) (next time.Time) {
	w := e.window
	v := verdict{next: w.next}
	if !w.due.IsZero() && !w.due.Before(e.since) && !w.due.Before(e.created) && !w.due.Equal(e.gaveUp) {
		if until := endOf(e.rule(), w); until.IsZero() || now.Before(until) {
			v.run, v.until, v.next = w.due, until, earliest(until, w.next)
		}
	}
	t.lapsed(e, v.run, now)
	e.owed, e.until = v.run, v.until
	switch {
	case e.busyWith != idle || t.looks >= looksAtOnce:
		return v.next // asked again when a task ends
	case waiting(e.wait, now, backoffMost):
		return earliest(v.next, e.wait)
	}
	t.begin(e, jobLook, time.Time{})
	return v.next
}

// decideUpkeep says whether a prune or verification could begin now, and when to ask again.
func (t *term) decideUpkeep(e *entry, kind job, now time.Time) (ready bool, next time.Time) {
	u := e.upkeep(kind)
	if u.next == nil || u.running {
		return false, time.Time{}
	}
	u.window = u.window.move(u.next, now)
	v := judgeUpkeep(u, e.upkeepDeadline(), now)
	if v.exhausted || !u.first.IsZero() && !v.run.Equal(u.owed) {
		t.giveUpUpkeep(e, kind)
		v = judgeUpkeep(u, e.upkeepDeadline(), now)
	}
	u.owed = v.run
	return !v.run.IsZero() && !v.from.After(now), v.next
}

// sorted returns the entries, sorted by name.
func (t *term) sorted() []*entry {
	return slices.SortedFunc(maps.Values(t.entries), func(a, b *entry) int { return cmp.Compare(a.name().String(), b.name().String()) })
}

// publish puts the present state where others can read it.
func (t *term) publish(now time.Time) {
	status := Status{
		Leading:         true,
		Ticked:          t.Now(),
		BucketFailing:   t.bucket.since,
		BucketError:     t.bucket.why,
		PasswordFailing: t.password.since,
		PasswordError:   t.password.why,
	}
	for _, e := range t.sorted() {
		status.StatefulSets = append(status.StatefulSets, e.status(now))
	}
	status.Displaced = t.displacedStatus()
	t.board.put(status)
}

// wait takes over the outcomes of what is still running after the end, so that nothing outlives the term.
func (t *term) wait() {
	for t.active > 0 {
		t.settle(<-t.outcomes)
	}
}

package scheduler

import (
	"context"
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
)

const (
	// longestNap is how long the loop sleeps at most: it notices within this time that somebody has set the clock.
	longestNap = time.Minute
	// shortestNap keeps the loop from spinning, whatever it is told.
	shortestNap = 100 * time.Millisecond
	// looksAtOnce bounds how many StatefulSets' recovery points are listed at once.
	looksAtOnce = 8
	// looksFirst is how long backups of a new leader wait until all recovery points are listed: before that nobody
	// knows which StatefulSet is the stalest.
	looksFirst = time.Minute
	// lookTimeout bounds a listing of recovery points. A bucket that does not answer must not block the tasks that ask
	// it.
	lookTimeout = 5 * time.Minute
)

// Loaded is a policy file, and the Operations for the repository that it names.
type Loaded struct {
	File       *policy.File
	Operations Operations
}

// Source supplies the policies.
type Source interface {
	Current() Loaded
	// Changed has a value after what Current returns has changed.
	Changed() <-chan struct{}
}

// Scheduler backs up the StatefulSets of a cluster. All fields must be set.
type Scheduler struct {
	Cluster  Cluster
	Policies Source
	Limits   Limits
	// Grace is how long running operations may go on when the scheduler has to stop.
	Grace time.Duration
	// Now is the clock. Somebody may set it at any time, in both directions.
	Now    func() time.Time
	Log    *slog.Logger
	Events Events

	board board
	// upkeeps are remembered from one term as the leader to the next; only one goroutine leads at a time.
	upkeeps map[Name]remembered
}

// Status is the present state, for metrics and probes.
func (s *Scheduler) Status() Status { return s.board.get() }

// Lead does the work of the leader. After stop it returns when all running operations have ended, for which they have
// Grace. After ctx has ended it returns at once: ctx is the right to lead, and all operations end with it.
func (s *Scheduler) Lead(ctx context.Context, stop <-chan struct{}) {
	t := newTerm(ctx, s)
	defer func() {
		t.cancel()
		t.wait()
		for _, e := range t.entries {
			s.remember(e)
		}
		s.board.put(Status{})
	}()
	s.Log.Info("leading", "limitOverall", s.Limits.Overall, "limitPerNamespace", s.Limits.PerNamespace)
	for changed := true; ; {
		if ended(ctx.Done()) || ended(stop) {
			break
		}
		now := t.now()
		if changed {
			t.refresh(now)
		}
		nap := t.decide(now)
		t.publish(now)
		changed = t.sleep(ctx, nap, stop)
	}
	if ctx.Err() != nil {
		s.Log.Warn("no longer leading; running operations end", "running", t.active)
		return
	}
	t.drain(ctx)
}

// sleep waits until something happens or it is time, and says whether policies or StatefulSets may have changed.
func (t *term) sleep(ctx context.Context, nap time.Duration, stop <-chan struct{}) (changed bool) {
	timer := time.NewTimer(nap)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-stop:
	case <-timer.C:
	case outcome := <-t.outcomes:
		t.settle(outcome)
	case <-t.Cluster.Changed():
		return true
	case <-t.Policies.Changed():
		return true
	}
	return false
}

// drain lets running tasks end by themselves for the time of Grace, and then cancels them: the next leader tries again.
func (t *term) drain(ctx context.Context) {
	if t.active == 0 {
		return
	}
	t.Log.Info("stopping; running operations may end", "running", t.active, "grace", t.Grace.String())
	grace := time.NewTimer(t.Grace)
	defer grace.Stop()
	tick := time.NewTicker(longestNap) // to show that the loop is alive
	defer tick.Stop()
	for t.active > 0 {
		select {
		case <-tick.C:
			t.publish(t.now())
		case outcome := <-t.outcomes:
			t.settle(outcome)
			t.publish(t.now())
		case <-grace.C:
			t.Log.Warn("running operations take too long and are cancelled; whoever leads next tries them again", "running", t.active)
			return
		case <-ctx.Done():
			return
		}
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

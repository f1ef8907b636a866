package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLeaderIsLost: when a leader has lost its leadership, its operations end at once. The next leader makes the run
// that was not finished, and none that was.
func TestLeaderIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/web")
		w.takes = 20 * time.Second
		w.lead(t, 30*time.Second)
		if w.count("backup") != 1 || len(w.points[Name{"demo", "web"}]) != 1 {
			t.Fatalf("%d backups", w.count("backup"))
		}
		elapse(10 * time.Second)
		w.lead(t, 25*time.Second) // five seconds into the next run
		if w.count("backup") != 2 || w.count("backup ended") != 1 {
			t.Fatalf("%d backups, %d of them ended with the leader", w.count("backup"), w.count("backup ended"))
		}
		elapse(15 * time.Second)
		w.lead(t, 30*time.Second)
		if w.count("backup") != 3 || len(w.points[Name{"demo", "web"}]) != 2 {
			t.Errorf("%d backups, %d recovery points", w.count("backup"), len(w.points[Name{"demo", "web"}]))
		}
		w.hasEvents(t)
		if !strings.Contains(w.log.String(), `"result":"cancelled"`) {
			t.Error(w.log.String())
		}
	})
}

// TestStop: running operations may end within the grace time, nothing new begins, and what takes longer is cancelled.
func TestStop(t *testing.T) {
	for name, test := range map[string]struct {
		takes  time.Duration
		points int
		within time.Duration
	}{
		"in time":  {50 * time.Second, 2, 50 * time.Second},
		"too long": {3 * time.Minute, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, eachMinute, "demo/web", "demo/db", "demo/more")
				w.takes = test.takes
				s := w.scheduler()
				s.Limits.Overall = 2
				stop, done := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(done)
					s.Lead(t.Context(), stop)
				}()
				elapse(3 * time.Second)
				stopped := time.Now()
				close(stop)
				elapse(40 * time.Second)
				if status := s.Status(); !status.Leading || !status.StatefulSets[0].Running {
					t.Errorf("while it stops: %+v", status)
				}
				<-done
				if took := time.Since(stopped); took > test.within {
					t.Errorf("took %s", took)
				}
				made := 0
				for _, points := range w.points {
					made += len(points)
				}
				if w.count("backup") != 2 || made != test.points || s.Status().Leading {
					t.Errorf("%d backups, %d recovery points, %+v", w.count("backup"), made, s.Status())
				}
			})
		})
	}
}

// TestStopWhenIdle: an idle leader returns at once.
func TestStopWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		stop := make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(stop) })
		begun := time.Now()
		w.scheduler().Lead(t.Context(), stop)
		if took := time.Since(begun); took != time.Hour {
			t.Errorf("returned after %s", took)
		}
	})
}

// TestPersonBacksUp: a backup that a person has made since the run's time counts, even if nobody has told the
// scheduler.
func TestPersonBacksUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(daily, "keep", "jitter: 10m, keep"), "demo/web", "demo/db")
		for name := range w.sets {
			w.points[name] = []Point{{Started: time.Now(), Complete: true}}
		}
		due := w.loaded.File.Policies[0].Next("demo", "web", time.Now())
		time.AfterFunc(time.Until(due)-time.Second, func() { w.made(Name{"demo", "web"}, due, true) })
		status := w.lead(t, 3*time.Hour)
		if w.count("backup demo/web") != 0 || w.count("backup demo/db") != 1 || w.count("points demo/web") != 2 {
			t.Errorf("%d and %d backups, listed %d times", w.count("backup demo/web"), w.count("backup demo/db"), w.count("points demo/web"))
		}
		if web := status.StatefulSets[1]; web.Succeeded != 0 || web.LastSuccess.IsZero() || web.Objective.Before(time.Now()) {
			t.Errorf("%+v", web)
		}
	})
}

// TestClockIsSet: the loop notices within a minute.
func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		var offset atomic.Int64
		w.now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		w.points[Name{"demo", "web"}] = []Point{{Started: time.Now(), Complete: true}}
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(time.Minute)
		for i, set := range []time.Duration{3 * time.Hour, time.Hour, 27 * time.Hour, 27 * time.Hour, 0} {
			offset.Store(int64(set))
			elapse(2 * time.Minute)
			if want := []int{1, 1, 2, 2, 2}[i]; w.count("backup") != want {
				t.Errorf("set to %s: %d backups, want %d", set, w.count("backup"), want)
			}
		}
		w.hasEvents(t)
	})
}

// TestPoliciesChange: a change takes effect at once, and what is known stays known.
func TestPoliciesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		w.points[Name{"demo", "web"}] = []Point{{Started: time.Now(), Complete: true}}
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(time.Hour + 30*time.Second)
		if w.count("backup") != 0 {
			t.Fatalf("%d backups", w.count("backup"))
		}
		w.load(t, eachMinute)
		elapse(2 * time.Minute)
		if w.count("backup") != 3 || w.count("points") != 4 {
			t.Errorf("%d backups, listed %d times", w.count("backup"), w.count("points"))
		}
		w.load(t, strings.ReplaceAll(eachMinute, "keep", "suspend: true, keep"))
		elapse(10 * time.Minute)
		if status := s.Status().StatefulSets[0]; w.count("backup") != 3 || !status.Suspended {
			t.Errorf("suspended: %d backups, %+v", w.count("backup"), status)
		}
		w.load(t, daily)
		elapse(time.Minute)
		w.add("demo/other", "nightl")
		elapse(time.Minute)
		w.hasEvents(
			t,
			`Warning demo/other UnknownPolicy It is not backed up: the annotation stsbackup.io/policy names the policy "nightl", which does not `+
				`exist; did you mean "nightly"?`,
		)
		// Another repository has other recovery points.
		listed := w.count("points demo/web")
		w.set(func() { w.loaded.Operations = struct{ Operations }{w} })
		signal(w.policiesChange)
		elapse(time.Minute)
		if again := w.count("points demo/web"); again != listed+1 {
			t.Errorf("listed %d times in another repository", again-listed)
		}
	})
}

// TestSelectedTwice: the scheduler reports once that several policies select a StatefulSet, and again when that
// changes.
func TestSelectedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily+strings.Replace(daily, "nightly", "again", 1), "demo/web", "demo/db")
		w.add("demo/chosen", "again")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		const line = `"level":"INFO","msg":"selected by several policies; the first in the file decides","statefulset":"demo/`
		said := func(what string, want int) {
			t.Helper()
			elapse(time.Minute)
			if got := strings.Count(w.log.String(), line); got != want {
				t.Errorf("%s: said %d times, want %d\n%s", what, got, want, w.log.String())
			}
		}
		said("in the beginning", 2)
		if text := w.log.String(); !strings.Contains(text, line+`web","policy":"nightly","alsoSelectedBy":["again"]`) {
			t.Error(text)
		}
		w.add("demo/more", "")
		said("one more", 3)
		w.load(t, strings.Replace(daily, "nightly", "again", 1)+daily)
		said("the other way round", 6)
		w.load(t, daily)
		said("one policy", 6)
	})
}

const withUpkeep = `- {name: all, select: {namespaces: ["*"]}, schedule: "30 2 * * *", prune: {schedule: "0 5 * * *"}, verify: ` +
	`{schedule: "0 5 * * *", readData: 5%}}` + "\n"

// TestUpkeep: each leader does prunes and verifications once, never two at the same time. Only a new leader, which
// cannot know about them, repeats them.
func TestUpkeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUpkeep, "demo/web", "demo/db")
		expect := func(what string, verifies, prunes int) {
			t.Helper()
			if w.count("verify") != verifies || w.count("prune") != prunes {
				t.Errorf("%s: %d verifications and %d prunes, want %d and %d", what, w.count("verify"), w.count("prune"), verifies, prunes)
			}
		}
		status := w.lead(t, 5*time.Hour+30*time.Minute)
		expect("the first day", 2, 2)
		if p := status.StatefulSets[0]; p.Prune.LastSuccess.IsZero() || !p.Verify.Scheduled || p.Verify.Failed {
			t.Errorf("%+v", p)
		}
		w.lead(t, 10*time.Minute)
		expect("a new leader within the hour", 4, 4)
		elapse(time.Hour)
		w.lead(t, 10*time.Hour)
		expect("a new leader later", 4, 4)
		w.hasEvents(t)
		if w.count("forget") != 0 {
			t.Errorf("forgot %d times without being asked to", w.count("forget"))
		}
	})
}

// TestUpkeepFails: the scheduler retries it for an hour, and then reports it; the next run starts afresh.
func TestUpkeepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUpkeep, "demo/web")
		w.upkeepFails = errors.New("connection refused")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(5*time.Hour + 50*time.Minute)
		w.hasEvents(t)
		elapse(20 * time.Minute)
		w.hasEvents(t, "Warning demo/web VerifyFailed Recovery points could not be verified, so nothing is known of damage: connection refused",
			"Warning demo/web PruneFailed Space could not be freed: connection refused")
		tries := w.count("verify")
		if status := s.Status().StatefulSets[0]; tries < 5 || tries > 12 || !status.Verify.Failed || !status.Prune.Failed ||
			status.Verify.Damaged {
			t.Errorf("%d tries, %+v", tries, status)
		}
		w.set(func() { w.upkeepFails = nil })
		elapse(24 * time.Hour)
		if status := s.Status().StatefulSets[0]; w.count("verify") != tries+1 || status.Verify.Failed {
			t.Errorf("%d tries the next day, %+v", w.count("verify")-tries, status)
		}
		w.hasEvents(t)
	})
}

// TestDamage: the scheduler reports at once what verify finds, and does not read the data again before the next
// verification is due. That one reports it again. A verification that could not be done changes nothing about it.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withUpkeep, "prune", "startingDeadline: 6h, prune", 1), "demo/web")
		w.verifyFails = fmt.Errorf("%w: pack 1234", ErrDamaged)
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		day := func(verifies int, damaged, failed bool, events ...string) {
			t.Helper()
			elapse(24 * time.Hour)
			w.hasEvents(t, events...)
			if v := s.Status().StatefulSets[0].Verify; w.count("verify") != verifies || v.Damaged != damaged || v.Failed != failed {
				t.Errorf("verified %d times, want %d: %+v", w.count("verify"), verifies, v)
			}
		}
		const found = "Warning demo/web DamageFound Data in the bucket is damaged or missing: found damage: pack 1234"
		elapse(5*time.Hour + time.Minute)
		w.hasEvents(t, found)
		if line := `"level":"ERROR","msg":"verify","statefulset":"demo/web"`; strings.Count(w.log.String(), line) != 1 ||
			!strings.Contains(w.log.String(), `"result":"damaged"`) {
			t.Error(w.log.String())
		}
		day(2, true, false, found)
		w.set(func() { w.verifyFails = fmt.Errorf("%w: it is locked", ErrRefused) })
		day(3, true, true, "Warning demo/web VerifyFailed")
		w.set(func() { w.verifyFails = nil })
		day(4, false, false)
	})
}

// TestForgetFails: the backup counts all the same.
func TestForgetFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		w.forgetFails = errors.New("access denied")
		status := w.lead(t, 3*time.Hour).StatefulSets[0]
		if status.Succeeded != 1 || status.Failed != 0 || status.ForgetFailed != 1 || w.count("backup") != 1 {
			t.Errorf("%+v", status)
		}
		w.hasEvents(
			t,
			"Warning demo/web ForgetFailed Could not remove recovery points that no rule keeps; the next backup tries again: access denied",
		)
	})
}

// TestIncompleteBackup: the scheduler makes an incomplete recovery point again a few times, and reports it with its
// reason.
func TestIncompleteBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		w.loaded.Operations = incompletely{w}
		status := w.lead(t, 12*time.Hour).StatefulSets[0]
		if w.count("backup") != incompleteMost || status.Failed != incompleteMost || status.GivenUp != 1 || !status.LastSuccess.IsZero() ||
			w.count("forget") != 0 {
			t.Errorf("%d backups, %+v", w.count("backup"), status)
		}
		w.hasEvents(
			t,
			"Warning demo/web BackupGivenUp Given up: the backup that was due at 2000-01-01T02:30:00Z could not be made by 2000-01-01T06:30:00Z: "+
				"1 of 3 volumes",
		)
	})
}

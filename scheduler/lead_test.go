package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const eachMinute = `- {name: often, select: {namespaces: ["*"]}, schedule: "* * * * *", keep: {last: 2}}` + "\n"

const daily = `- {name: nightly, select: {namespaces: ["*"]}, schedule: "30 2 * * *", startingDeadline: 4h, keep: {last: 2}}` + "\n"

// TestLead: the scheduler makes each run once, forgets what the rules do not keep, and logs one complete line for each
// run.
func TestLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/web", "demo/db")
		status := w.lead(t, 4*time.Minute+30*time.Second) // the run at the beginning, and four more
		for _, set := range []string{"demo/web", "demo/db"} {
			if backups, forgets, lists := w.count("backup "+set), w.count("forget "+set), w.count("points "+set); backups != 5 || forgets != 5 ||
				lists != 6 {
				t.Errorf("%s: %d backups, %d times forgotten, %d times listed", set, backups, forgets, lists)
			}
			if kept := len(w.points[Name{"demo", set[5:]}]); kept != 2 {
				t.Errorf("%s: %d recovery points kept", set, kept)
			}
		}
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, set := range status.StatefulSets {
			minutes := set.LastSuccess.Sub(start).Truncate(time.Minute)
			if set.Policy != "often" || set.Succeeded != 5 || set.Failed != 0 || set.BytesRead != 5000 || set.BytesStored != 50 || set.Running ||
				minutes != 4*time.Minute || !set.Objective.Equal(start.Add(5*time.Minute)) || set.Phases["move"] != 5*time.Second {
				t.Errorf("%+v", set)
			}
		}
		w.hasEvents(t)
		var lines int
		for line := range strings.Lines(w.log.String()) {
			var entry struct {
				Msg, Statefulset, Policy, Run, Result, RecoveryPoint string
				Seconds                                              float64
				BytesRead, Forgotten, Try                            int
				Phases                                               map[string]float64
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			if entry.Msg != "backup" {
				continue
			}
			lines++
			if entry.Policy != "often" || entry.Result != "done" || entry.RecoveryPoint == "" || entry.Try != 1 || entry.BytesRead != 1000 ||
				entry.Seconds < 5 || entry.Phases["move"] != 5 || !strings.HasPrefix(entry.Run, "2000-01-01T00:0") {
				t.Error(line)
			}
		}
		if lines != 10 {
			t.Errorf("%d lines of the log about 10 backups:\n%s", lines, w.log.String())
		}
	})
}

// TestBucketDownForAnHour: when the bucket is back, the scheduler makes what was due meanwhile, once, and not all at
// the same time.
func TestBucketDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sets []string
		for i := range 40 {
			sets = append(sets, fmt.Sprintf("n%d/web", i))
		}
		w := newWorld(t, daily, sets...)
		w.points = map[Name][]Point{}
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(2*time.Hour + 15*time.Minute)
		w.set(func() { w.down = fmt.Errorf("%w: connection refused", ErrBucket) })
		before := w.count("points")
		elapse(time.Hour)
		status := s.Status()
		if status.BucketFailing.IsZero() || status.BucketError != "list the recovery points: the bucket cannot be used: connection refused" ||
			w.count("backup") != 0 {
			t.Errorf("failing since %s: %s; %d backups", status.BucketFailing, status.BucketError, w.count("backup"))
		}
		if status.StatefulSets[0].Failures < 5 || status.StatefulSets[0].GivenUp != 0 || !status.StatefulSets[0].Objective.Before(time.Now()) {
			t.Errorf("%+v", status.StatefulSets[0])
		}
		// 45 minutes; after many failures the scheduler tries about every other minute.
		if asked := w.count("points") - before; asked > 40*45 {
			t.Errorf("a bucket that is down was asked %d times for 40 StatefulSets", asked)
		}
		w.set(func() { w.down = nil })
		elapse(5 * time.Minute)
		status = s.Status()
		if w.count("backup") != 40 || w.most[""] != 4 || !status.BucketFailing.IsZero() {
			t.Errorf("%d backups, up to %d at once, failing since %s", w.count("backup"), w.most[""], status.BucketFailing)
		}
		elapse(20 * time.Hour)
		if w.count("backup") != 40 {
			t.Errorf("%d backups in a day", w.count("backup"))
		}
		w.hasEvents(t)
		if log := w.log.String(); strings.Count(log, "the bucket does not answer") != 1 || strings.Count(log, "the bucket answers again") != 1 {
			t.Error(log)
		}
	})
}

// TestLeaderBeginsWithoutBucket: the leader asks again for what it does not know, but not too often. It reports runs
// that come and go meanwhile, but not earlier ones, because nobody knows whether they are done.
func TestLeaderBeginsWithoutBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web", "demo/db")
		elapse(3 * time.Hour)
		w.down = errors.New("connection refused")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(5 * time.Hour)
		w.hasEvents(t)
		if asked := w.count("points demo/web"); asked < 120 || asked > 250 || s.Status().StatefulSets[0].Known {
			t.Errorf("asked %d times in five hours", asked)
		}
		elapse(24 * time.Hour)
		w.hasEvents(
			t,
			"Warning demo/db BackupGivenUp Given up: the backup that was due at 2000-01-02T02:30:00Z could not be made by 2000-01-02T06:30:00Z: "+
				"list the recovery points: connection refused",
			"Warning demo/web BackupGivenUp",
		)
		elapse(19 * time.Hour)
		w.set(func() { w.down = nil })
		elapse(5 * time.Minute)
		if w.count("backup") != 2 || !s.Status().StatefulSets[0].Known {
			t.Errorf("%d backups, %+v", w.count("backup"), s.Status())
		}
		w.hasEvents(t, "Normal demo/", "Normal demo/")
	})
}

// elapse lets the scheduler run for some time.
func elapse(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// TestGivenUp: the scheduler reports once that a run has failed until its deadline, and once that all is well again.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "demo/web")
		w.points[Name{"demo", "web"}] = []Point{{Started: time.Now(), Complete: true}}
		w.fail = func(Name) error { return errors.New("no space left on device") }
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(6*time.Hour + 29*time.Minute)
		w.hasEvents(t)
		elapse(10 * time.Hour)
		w.hasEvents(
			t,
			"Warning demo/web BackupGivenUp Given up: the backup that was due at 2000-01-01T02:30:00Z could not be made by 2000-01-01T06:30:00Z: "+
				"no space left on device",
		)
		if tries, status := w.count("backup"), s.Status().StatefulSets[0]; tries < 10 || tries > 20 || status.GivenUp != 1 ||
			status.Failed != tries {
			t.Errorf("%d tries, %+v", tries, status)
		}
		if log := w.log.String(); strings.Count(log, `"level":"ERROR"`) != 1 ||
			!strings.Contains(log, `"level":"ERROR","msg":"backup given up","statefulset":"demo/web","run":"2000-01-01T02:30:00Z"`) {
			t.Errorf("what is given up has one line of the log:\n%s", log)
		}
		w.set(func() { w.fail = func(Name) error { return nil } })
		elapse(11 * time.Hour)
		w.hasEvents(t, "Normal demo/web BackupRecovered")
		if status := s.Status().StatefulSets[0]; status.Failures != 0 {
			t.Errorf("%+v", status)
		}
	})
}

// TestErrorsThatMeanSomething: if a StatefulSet is in use, the scheduler tries again, and counts no failure. If it
// refuses, the scheduler does not try again before the next run. If it no longer exists, nobody is in trouble.
func TestErrorsThatMeanSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily, "busy/web", "refused/web", "gone/web")
		for name := range w.sets {
			w.points[name] = []Point{{Started: time.Now(), Complete: true}}
		}
		begun := time.Now()
		w.fail = func(of Name) error {
			switch {
			case of.Namespace == "refused":
				return fmt.Errorf("%w: it has no claims", ErrRefused)
			case of.Namespace == "gone":
				w.remove(of) // somebody deletes the namespace between plan and run
				return fmt.Errorf("namespace gone: %w", ErrGone)
			case time.Since(begun) < 2*time.Hour+35*time.Minute:
				return fmt.Errorf("%w: a restore is running", ErrBusy)
			}
			return nil
		}
		status := w.lead(t, 20*time.Hour)
		w.hasEvents(t, "Warning refused/web BackupRefused The backup that was due at 2000-01-01T02:30:00Z is not made: refused: it has no claims")
		if log := w.log.String(); strings.Count(log, `"level":"ERROR"`) != 1 ||
			!strings.Contains(log, `"level":"ERROR","msg":"backup","statefulset":"refused/web"`) {
			t.Errorf("what is refused has one line of the log:\n%s", log)
		}
		if tries := w.count("backup refused/web"); tries != 1 {
			t.Errorf("refused: %d tries", tries)
		}
		if tries := w.count("backup gone/web"); tries != 1 || len(status.StatefulSets) != 2 {
			t.Errorf("gone: %d tries, %d StatefulSets left", tries, len(status.StatefulSets))
		}
		if busy := status.StatefulSets[0]; busy.Failed != 0 || busy.Succeeded != 1 || w.count("backup busy/web") < 4 ||
			busy.LastSuccess.Sub(begun) > 2*time.Hour+38*time.Minute {
			t.Errorf("busy: %d tries, %+v", w.count("backup busy/web"), busy)
		}
	})
}

// TestStalestFirst: within the limits, the StatefulSet that has waited longest comes first.
func TestStalestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, daily)
		var want []string
		for i := range 6 {
			w.add(fmt.Sprintf("a/s%d", i), "")
			w.points[Name{"a", fmt.Sprintf("s%d", i)}] = []Point{{Started: time.Now().Add(-time.Duration(i) * 24 * time.Hour), Complete: true}}
			want = append([]string{fmt.Sprintf("a/s%d", i)}, want...)
		}
		w.points[Name{"a", "s5"}] = nil
		s := w.scheduler()
		s.Limits = Limits{Overall: 3, PerNamespace: 1, Upkeep: 1}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// Those that are overdue already begin at once; the youngest does not.
		w.takes = time.Minute
		go s.Lead(ctx, nil)
		elapse(4 * time.Hour)
		if diff := cmp.Diff(want, w.order[:6]); diff != "" || w.most[""] != 1 {
			t.Errorf("up to %d at once (-want +got):\n%s", w.most[""], diff)
		}
	})
}

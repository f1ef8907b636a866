package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const withDiscard = `- {name: all, select: {namespaces: ["*"]}, schedule: "30 2 * * *", timeZone: Europe/Berlin, discard: {after: 30d}}` +
	"\n"

// discards is a world in which demo/web has volumes that were set aside these times ago.
func discards(t *testing.T, policies string, ages ...time.Duration) *world {
	t.Helper()
	w := newWorld(t, policies, "demo/web", "demo/db")
	w.aside = map[Name][]time.Time{{"demo", "gone"}: {time.Now().Add(-5000 * time.Hour)}}
	for _, age := range ages {
		w.aside[Name{"demo", "web"}] = append(w.aside[Name{"demo", "web"}], time.Now().Add(-age))
	}
	return w
}

const day = 24 * time.Hour

// TestDiscard: the scheduler frees what has been set aside for as long as the policy says, and reports it.
func TestDiscard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := discards(t, withDiscard, 29*day, 10*day)
		status := w.lead(t, 23*time.Hour+50*time.Minute)
		if w.count("discard") != 0 {
			t.Errorf("discarded %d times before it was time", w.count("discard"))
		}
		want := []DisplacedStatus{
			{Name: Name{"demo", "db"}},
			{Name: Name{"demo", "gone"}, Volumes: 1, Bytes: 1 << 30},
			{Name: Name{"demo", "web"}, Volumes: 2, Bytes: 2 << 30},
		}
		if diff := cmp.Diff(want, status.Displaced); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w.hasEvents(t)
		status = w.lead(t, time.Hour)
		if before := w.asked["discard"].(time.Time); w.count("discard") != 1 || w.count("discard demo/web") != 1 ||
			before.After(time.Now().Add(-30*day)) {
			t.Errorf("%d discards, of what was set aside before %v", w.count("discard"), w.asked["discard"])
		}
		set := status.StatefulSets[1]
		if set.Discard != (DiscardStatus{Scheduled: true, Volumes: 1}) || status.Displaced[2].Volumes != 1 {
			t.Errorf("%+v, %+v", set.Discard, status.Displaced)
		}
		w.hasEvents(
			t,
			"Normal demo/web VolumesDiscarded Volumes that restores had set aside more than 30d ago were freed, as the policy all says: pv-",
		)
		if !strings.Contains(
			w.log.String(),
			`"msg":"discard","statefulset":"demo/web","policy":"all","result":"done","seconds":10,"volumes":["pv-`,
		) {
			t.Error(w.log.String())
		}
	})
}

// TestDisplacedIsLookedAtSeldom: the scheduler looks seldom, whatever happens, and however many StatefulSets there are.
func TestDisplacedIsLookedAtSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, many(50)...)
		status := w.lead(t, time.Hour+time.Minute)
		if n := w.count("displaced"); n != 7 || w.count("backup") < 50 {
			t.Errorf("looked %d times, %d backups", n, w.count("backup"))
		}
		if len(status.Displaced) != 50 {
			t.Errorf("%d StatefulSets", len(status.Displaced))
		}
	})
}

// TestDiscardIsNot: the scheduler discards nothing if no policy says so, if the policy is suspended, and if it has
// nothing to run.
func TestDiscardIsNot(t *testing.T) {
	for what, change := range map[string]func(*testing.T, *world){
		"no discard": func(t *testing.T, w *world) {
			w.load(t, strings.Replace(withDiscard, ", discard: {after: 30d}", "", 1))
		},
		"suspended": func(t *testing.T, w *world) {
			w.load(t, strings.Replace(withDiscard, "discard", "suspend: true, discard", 1))
		},
		"no policy": func(_ *testing.T, w *world) { w.add("demo/web", "none") },
		"0 replicas": func(_ *testing.T, w *world) {
			set := w.sets[Name{"demo", "web"}]
			set.Nothing = "it is scaled to 0 replicas"
			w.sets[Name{"demo", "web"}] = set
		},
		"gone":    func(_ *testing.T, w *world) { w.remove(Name{"demo", "web"}) },
		"unknown": func(_ *testing.T, w *world) { w.asideFails = errors.New("forbidden") },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := discards(t, withDiscard, 400*day)
				change(t, w)
				if status := w.lead(t, 25*time.Hour); w.count("discard") != 0 || (what == "unknown") != (status.Displaced == nil) {
					t.Errorf("%d discards, %+v", w.count("discard"), status.Displaced)
				}
				if told := strings.Count(w.log.String(), "is not known"); (told == 1) != (what == "unknown") {
					t.Errorf("told %d times", told)
				}
			})
		})
	}
}

// TestDiscardFails: the scheduler seldom tries again, and reports each reason once. If pods are not Ready, or somebody
// else is at work, that is no failure.
func TestDiscardFails(t *testing.T) {
	for what, tt := range map[string]struct {
		err         error
		least, most int // tries in three hours
		failed      bool
		events      []string
	}{
		"not Ready": {fmt.Errorf("%w: pod web-1", ErrNotReady), 17, 18, false, nil},
		"busy":      {fmt.Errorf("%w: a backup", ErrBusy), 17, 18, false, nil},
		"gone":      {fmt.Errorf("%w: the namespace", ErrGone), 17, 18, false, nil},
		"refused": {fmt.Errorf("%w: a restore", ErrRefused), 3, 3, true, []string{"Warning demo/web DiscardFailed What restores have set " +
			"aside could not be freed, as the policy says: refused: a restore"}},
		"fails": {errors.New("the driver"), 3, 3, true, []string{"Warning demo/web DiscardFailed What restores have set aside could not be " +
			"freed, as the policy says: the driver"}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := discards(t, withDiscard, 400*day)
				w.discardFails = tt.err
				s := w.scheduler()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go s.Lead(ctx, nil)
				elapse(3 * time.Hour)
				web := s.Status().StatefulSets[1]
				if n := w.count("discard demo/web"); n < tt.least || n > tt.most || web.Discard.Failed != tt.failed || web.Discard.Volumes != 0 {
					t.Errorf("%d tries, %+v", n, web.Discard)
				}
				w.hasEvents(t, tt.events...)
				w.set(func() { w.discardFails = nil })
				elapse(time.Hour + 10*time.Minute)
				if web := s.Status().StatefulSets[1]; web.Discard.Failed || web.Discard.Volumes != 1 {
					t.Errorf("afterwards: %+v", web.Discard)
				}
			})
		})
	}
}

// TestDiscardTakesTurns: a discard does not run beside a backup, a prune or a verification of the same StatefulSet that
// has begun before, and the same limits apply to it.
func TestDiscardTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := discards(t, strings.Replace(withUpkeep, "prune", "discard: {after: 30d}, prune", 1), 400*day)
		w.aside[Name{"demo", "db"}] = []time.Time{time.Now().Add(-400 * day)}
		w.takes = 2 * time.Hour
		w.lead(t, 90*time.Minute) // a new leader begins with the backups that are owed
		if w.count("discard") != 0 || w.count("backup") != 2 {
			t.Errorf("%d discards beside %d backups", w.count("discard"), w.count("backup"))
		}
		w.set(func() { w.takes = time.Minute })
		w.lead(t, time.Hour)
		if w.count("discard") != 2 || w.most["upkeep "] != 1 {
			t.Errorf("%d discards, %d at once", w.count("discard"), w.most["upkeep "])
		}
	})
}

// TestDiscardIsAlone: what becomes due while a discard runs waits until the discard has ended.
func TestDiscardIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withUpkeep, "prune", "discard: {after: 30d}, prune", 1), "demo/web")
		w.aside = map[Name][]time.Time{{"demo", "web"}: {time.Now().Add(-400 * day)}}
		w.made(Name{"demo", "web"}, time.Now().Add(3*time.Hour), true)
		elapse(4*time.Hour + 59*time.Minute + 55*time.Second) // it takes ten seconds, and prune and verify are due at 5:00
		s := w.scheduler()
		s.Limits.Upkeep = 3
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(time.Minute)
		if w.count("discard") != 1 || w.count("prune") != 1 || w.count("verify") != 1 || w.most["upkeep "] != 1 {
			t.Errorf(
				"%d discards, %d prunes, %d verifications, %d at once",
				w.count("discard"),
				w.count("prune"),
				w.count("verify"),
				w.most["upkeep "],
			)
		}
	})
}

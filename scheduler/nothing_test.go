package scheduler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestNothingToBackUp: a StatefulSet without volumes, or without replicas, owes nothing and is no trouble. The
// scheduler verifies it all the same, and backs it up as soon as it has something.
func TestNothingToBackUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUpkeep, "demo/idle", "demo/web")
		idle := func(why string) {
			w.set(func() {
				set := w.sets[Name{"demo", "idle"}]
				set.Nothing = why
				w.sets[Name{"demo", "idle"}] = set
			})
			signal(w.changed)
		}
		idle("it is scaled to 0 replicas")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(time.Second)
		if w.count("backup demo/web") != 1 {
			t.Error("the other one waits for it")
		}
		elapse(36 * time.Hour)
		status := s.Status().StatefulSets[0]
		if w.count("backup demo/idle")+w.count("points demo/idle") != 0 || !status.Objective.IsZero() || status.GivenUp+status.Failed != 0 ||
			w.count("verify demo/idle") != 2 {
			t.Errorf("%d backups, %d verifications, %+v", w.count("backup demo/idle"), w.count("verify demo/idle"), status)
		}
		idle("")
		elapse(time.Minute)
		if status := s.Status().StatefulSets[0]; w.count("backup demo/idle") != 1 || !status.Objective.After(time.Now()) {
			t.Errorf("scaled up: %d backups, %+v", w.count("backup demo/idle"), status)
		}
		idle("it is scaled to 0 replicas")
		elapse(48 * time.Hour)
		if w.count("backup demo/idle") != 1 || !s.Status().StatefulSets[0].Objective.IsZero() {
			t.Errorf("scaled down again: %d backups", w.count("backup demo/idle"))
		}
		w.hasEvents(t)
	})
}

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// many returns names of StatefulSets.
func many(count int) []string {
	var sets []string
	for i := range count {
		sets = append(sets, fmt.Sprintf("n%d/web", i))
	}
	return sets
}

// TestLimits: no more listings, prunes and verifications run at once than the limits allow.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUpkeep, many(20)...)
		w.lead(t, 7*time.Hour)
		if w.most["points "] != looksAtOnce || w.most["upkeep "] != 1 || w.count("prune") != 20 || w.count("verify") != 20 {
			t.Errorf(
				"up to %d listings, up to %d of %d prunes and %d verifications at once",
				w.most["points "],
				w.most["upkeep "],
				w.count("prune"),
				w.count("verify"),
			)
		}
	})
}

// TestNothingBeginsBeforeAllAreListed, unless listing takes more than a minute; and the scheduler gives up a listing
// that never ends.
func TestNothingBeginsBeforeAllAreListed(t *testing.T) {
	for name, test := range map[string]struct {
		takes, begins time.Duration
	}{
		"slowly": {30 * time.Second, 30 * time.Second},
		"never":  {1000 * time.Hour, looksFirst},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, strings.Replace(daily, "startingDeadline: 4h, ", "", 1), "demo/db", "demo/web")
				w.pointsTake = map[Name]time.Duration{{"demo", "web"}: test.takes}
				s := w.scheduler()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go s.Lead(ctx, nil)
				elapse(test.begins - time.Second)
				if w.count("backup") != 0 {
					t.Error("something begins before")
				}
				elapse(2 * time.Second)
				if w.count("backup demo/db") != 1 {
					t.Error("it does not begin then")
				}
				elapse(lookTimeout - test.begins - 2*time.Second)
				if listed := w.count("points demo/web"); test.takes > time.Hour && listed != 1 {
					t.Errorf("listed %d times before the time is over", listed)
				}
				elapse(time.Minute)
				if listed := w.count("points demo/web"); test.takes > time.Hour && listed != 2 {
					t.Errorf("listed %d times afterwards", listed)
				}
			})
		})
	}
}

// TestUpkeepWaitsForABackup: prunes and verifications wait for a running backup of the same StatefulSet.
func TestUpkeepWaitsForABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withUpkeep, "30 2", "55 4", 1), "demo/web")
		w.points[Name{"demo", "web"}] = []Point{{Started: time.Now(), Complete: true}}
		w.takes = 20 * time.Minute
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(5*time.Hour + 14*time.Minute)
		if w.count("backup") != 1 || w.count("prune")+w.count("verify") != 0 {
			t.Errorf("%d backups, and beside them %d prunes and %d verifications", w.count("backup"), w.count("prune"), w.count("verify"))
		}
		elapse(2 * time.Minute)
		if w.count("prune") != 1 || w.count("verify") != 1 {
			t.Errorf("afterwards %d prunes and %d verifications", w.count("prune"), w.count("verify"))
		}
	})
}

// TestUpkeepGoesByThePolicy: prunes and verifications use the jitter and startingDeadline of the backups.
func TestUpkeepGoesByThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.Replace(withUpkeep, "prune", "jitter: 50m, startingDeadline: 3h, prune", 1), "demo/web")
		w.upkeepFails = errors.New("connection refused")
		begun := time.Now()
		offset := w.loaded.File.Policies[0].Offset("demo", "web")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(5*time.Hour + offset + 2*time.Hour + 55*time.Minute)
		w.hasEvents(t)
		if late := w.first["verify demo/web"].Sub(begun) - 5*time.Hour - offset; offset < time.Minute || late < 0 || late > time.Second {
			t.Errorf("first verified %s after its time, which is put off by %s", late, offset)
		}
		elapse(10 * time.Minute)
		w.hasEvents(t, "Warning demo/web VerifyFailed", "Warning demo/web PruneFailed")
	})
}

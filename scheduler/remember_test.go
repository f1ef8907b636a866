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

// TestWrongPassword: the status says that the root password opens nothing. That is no trouble of the bucket, whatever
// was wrong before, nor of any StatefulSet.
func TestWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/db", "demo/web")
		w.down = fmt.Errorf("%w: connection refused", ErrBucket)
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(5 * time.Minute)
		if status := s.Status(); status.BucketFailing.IsZero() || !status.PasswordFailing.IsZero() {
			t.Errorf("the bucket is away: %+v", status)
		}
		w.set(func() { w.down = fmt.Errorf("%w: demo/db: wrong password", ErrPassword) })
		elapse(10 * time.Minute)
		status := s.Status()
		if !status.BucketFailing.IsZero() || time.Since(status.PasswordFailing) < 9*time.Minute ||
			!strings.Contains(status.PasswordError, "wrong password") {
			t.Errorf(
				"the password is wrong: bucket since %s, password since %s, %q",
				status.BucketFailing,
				status.PasswordFailing,
				status.PasswordError,
			)
		}
		for _, event := range w.events {
			if strings.Contains(event, "RepositoryFailed") {
				t.Error(event)
			}
		}
		w.set(func() { w.down = nil })
		elapse(5 * time.Minute)
		if status := s.Status(); !status.PasswordFailing.IsZero() || status.PasswordError != "" ||
			strings.Count(w.log.String(), `"msg":"the root password opens`) != 2 {
			t.Errorf("it is mended: %+v\n%s", status, w.log.String())
		}
	})
}

// TestSeriesStay: the metrics keep showing what was known in exactly those outages in which people look at them. What a
// leader has never known is overdue from the leader's own beginning on.
func TestSeriesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/web")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		go s.Lead(ctx, nil)
		elapse(3 * time.Minute)
		before := s.Status().StatefulSets[0]
		if !before.Known || before.LastSuccess.IsZero() {
			t.Fatalf("%+v", before)
		}
		w.set(func() { w.down = fmt.Errorf("%w: connection refused", ErrBucket) })
		w.set(func() { w.loaded.Operations = struct{ *world }{w} }) // the file was written anew
		signal(w.policiesChange)
		elapse(time.Hour)
		after := s.Status().StatefulSets[0]
		if !after.Known || after.LastSuccess.Before(before.LastSuccess) || time.Since(after.Objective) < 55*time.Minute {
			t.Errorf("an hour without the bucket: %+v", after)
		}
		cancel()
		synctest.Wait()

		// Another leader, which has never known any recovery points.
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		other := w.scheduler()
		go other.Lead(ctx, nil)
		elapse(time.Hour)
		if blind := other.Status().StatefulSets[0]; blind.Known || time.Since(blind.Objective) < 55*time.Minute {
			t.Errorf("a leader that has known nothing for an hour: %+v", blind)
		}
	})
}

// TestUpkeepIsRemembered: the scheduler that has done a prune or verification remembers when: also if the policy is
// suspended for a while, if somebody makes the StatefulSet anew, and if another scheduler was the leader in between.
func TestUpkeepIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUpkeep, "demo/web")
		s := w.scheduler()
		lead := func(do func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Lead(ctx, nil)
			}()
			do()
			cancel()
			<-done
		}
		last := func() (prune, verify time.Time) {
			elapse(time.Minute)
			set := s.Status().StatefulSets[0]
			return set.Prune.LastSuccess, set.Verify.LastSuccess
		}
		var prune, verify time.Time
		// The time is the same, or the upkeep was done again; the time never goes back.
		same := func(when string) {
			t.Helper()
			if p, v := last(); p.Before(prune) || v.Before(verify) {
				t.Errorf("%s: pruned %s and verified %s, want %s and %s", when, p, v, prune, verify)
			}
		}
		lead(func() {
			elapse(5*time.Hour + 30*time.Minute)
			if prune, verify = last(); prune.IsZero() || verify.IsZero() {
				t.Fatal("nothing was done")
			}
			w.load(t, strings.Replace(withUpkeep, "{name: all", "{suspend: true, name: all", 1))
			elapse(time.Minute)
			w.load(t, withUpkeep)
			same("resumed")
			w.remove(Name{"demo", "web"})
			elapse(time.Minute)
			w.add("demo/web", "")
			same("made anew")
		})
		elapse(2 * time.Hour)
		lead(func() { same("leading again") })
	})
}

func TestPasswordFailing(t *testing.T) {
	early, late := date(11, 1, 2, 0), date(11, 1, 3, 0)
	password, network := fmt.Errorf("%w: wrong", ErrPassword), errors.New("connection refused")
	for name, test := range map[string]struct {
		listings []listing
		want     time.Time
	}{
		"all":                    {[]listing{{failing: late, err: password}, {failing: early, err: password}}, early},
		"one can be opened":      {[]listing{{failing: late, err: password}, {}}, time.Time{}},
		"another trouble beside": {[]listing{{failing: late, err: password}, {failing: early, err: network}}, late},
		"none":                   {[]listing{{failing: early, err: network}}, time.Time{}},
	} {
		if got := passwordFailing(test.listings); !got.Equal(test.want) {
			t.Errorf("%s: since %s, want %s", name, got, test.want)
		}
	}
}

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

func TestBucketDown(t *testing.T) {
	t.Parallel()
	early, late := date(11, 1, 2, 0), date(11, 1, 3, 0)
	password, network := errors.New("wrong password"), fmt.Errorf("%w: connection refused", ErrBucket)
	well := listing{}
	failed := func(err error, since time.Time, before int) listing {
		return listing{failing: since, err: err, before: before}
	}
	for name, test := range map[string]struct {
		listings []listing
		want     time.Time
	}{
		"nothing listed yet":               {[]listing{well, well}, time.Time{}},
		"one with its own trouble":         {[]listing{failed(password, early, 7), well}, time.Time{}},
		"its own trouble, others not seen": {[]listing{failed(password, early, 9), well}, time.Time{}},
		"no answer, others not asked":      {[]listing{failed(network, late, 9), well}, late},
		"no answer in time":                {[]listing{failed(context.DeadlineExceeded, late, 9), well}, late},
		"no answer, but others got one":    {[]listing{failed(network, early, 8), well}, time.Time{}},
		"both":                             {[]listing{failed(password, early, 8), failed(network, late, 9), well}, late},
		"none can be listed any more":      {[]listing{failed(password, late, 9), failed(password, early, 8)}, late},
		"none of those that are left":      {[]listing{failed(password, late, 7), failed(password, early, 8)}, early},
	} {
		if got := bucketDown(test.listings, 9); !got.Equal(test.want) {
			t.Errorf("%s: since %s, want %s", name, got, test.want)
		}
	}
}

// TestOneRepositoryFails: of two StatefulSets, one has another password. That is its own trouble, reported once; the
// bucket is not down.
func TestOneRepositoryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/db", "demo/web")
		w.broken = map[Name]error{{"demo", "web"}: errors.New("wrong password")}
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		for range 60 {
			elapse(time.Minute)
			if status := s.Status(); !status.BucketFailing.IsZero() || status.BucketError != "" {
				t.Fatalf("the bucket is said to be down: %s", status.BucketError)
			}
		}
		if failing := s.Status().StatefulSets; !failing[0].RepositoryFailing.IsZero() ||
			time.Since(failing[1].RepositoryFailing) < 59*time.Minute {
			t.Errorf("failing since %s and %s", failing[0].RepositoryFailing, failing[1].RepositoryFailing)
		}
		log := w.log.String()
		if strings.Contains(log, `"msg":"the bucket`) || strings.Count(log, "recovery points of this StatefulSet cannot be listed, "+
			"those of others can") != 1 ||
			w.count("backup demo/db") < 60 {
			t.Errorf("%d backups of the other\n%s", w.count("backup demo/db"), log)
		}
		told := 0
		for _, event := range w.events {
			if strings.HasPrefix(event, "Warning demo/web RepositoryFailed It is not backed up") &&
				strings.Contains(event, "wrong password. \"stsbackup list demo/web") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times:\n%s", told, strings.Join(w.events, "\n"))
		}
		// The bucket goes and comes back; then somebody corrects the password.
		w.set(func() { w.down = fmt.Errorf("%w: connection refused", ErrBucket) })
		elapse(5 * time.Minute)
		if s.Status().BucketFailing.IsZero() {
			t.Error("the bucket is down and nothing says so")
		}
		w.set(func() { w.down = nil })
		elapse(5 * time.Minute)
		if !s.Status().BucketFailing.IsZero() || strings.Count(w.log.String(), `"msg":"the bucket`) != 2 {
			t.Errorf("the bucket is back:\n%s", w.log.String())
		}
		w.set(func() { w.broken = nil })
		elapse(5 * time.Minute)
		if failing := s.Status().StatefulSets[1].RepositoryFailing; !failing.IsZero() || w.count("backup demo/web") == 0 ||
			!strings.Contains(w.log.String(), "recovery points can be listed again") {
			t.Errorf("failing since %s, %d backups", failing, w.count("backup demo/web"))
		}
	})
}

// TestNoRepositoryAnswers: a failure that all share is the bucket's trouble, and no StatefulSet's, even if the error
// does not say so. The same holds for a bucket that fails while one StatefulSet is in trouble.
func TestNoRepositoryAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eachMinute, "demo/db", "demo/web", "demo/xy")
		s := w.scheduler()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Lead(ctx, nil)
		elapse(90 * time.Second)
		w.set(func() { w.down = errors.New("odd") })
		elapse(time.Minute)
		if status := s.Status(); status.BucketFailing.IsZero() || status.BucketError != "list the recovery points: odd" {
			t.Errorf("failing since %s: %s", status.BucketFailing, status.BucketError)
		}
		w.set(func() { w.down = nil })
		elapse(2 * time.Minute)
		w.set(func() { w.broken = map[Name]error{{"demo", "web"}: fmt.Errorf("%w: reset", ErrBucket)} })
		elapse(90 * time.Second)
		w.set(func() { w.broken, w.down = nil, fmt.Errorf("%w: refused", ErrBucket) })
		elapse(2 * time.Minute)
		for _, event := range w.events {
			if strings.Contains(event, "RepositoryFailed") {
				t.Error(event)
			}
		}
	})
}

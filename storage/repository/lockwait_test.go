package repository

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLockWaits tries to lock while somebody holds an exclusive lock for a minute.
func TestLockWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		limit   time.Duration
		removes bool // Blocked removes the lock that is in the way
		cancel  time.Duration
		want    error
		atLeast time.Duration
		atMost  time.Duration
	}{
		"not at all":           {0, false, 0, ErrLocked, 0, time.Second},
		"too short":            {20 * time.Second, false, 0, ErrLocked, 20 * time.Second, 21 * time.Second},
		"long enough":          {5 * time.Minute, false, 0, nil, time.Minute, 80 * time.Second},
		"it is removed":        {5 * time.Minute, true, 0, nil, 0, time.Second},
		"removed, not waiting": {0, true, 0, nil, 0, time.Second},
		"interrupted":          {5 * time.Minute, false, 10 * time.Second, context.DeadlineExceeded, 10 * time.Second, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				repo, bucket := newRepo(t)
				other, err := repo.LockExclusive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tt.cancel > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.cancel)
				}
				defer cancel()
				begun, told := time.Now(), 0
				time.AfterFunc(time.Minute, func() { _ = other.Release(context.Background()) })
				repo.SetLockWait(LockWait{Limit: tt.limit, Blocked: func(ctx context.Context, err error) bool {
					if told++; !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "exclusively by stsbackup on host") {
						t.Errorf("told %v", err)
					}
					if tt.removes {
						if err := other.Release(ctx); err != nil {
							t.Error(err)
						}
					}
					return tt.removes
				}})
				lock, err := repo.Lock(ctx)
				if took := time.Since(begun); !errors.Is(err, tt.want) || (lock == nil) != (tt.want != nil) || took < tt.atLeast || took > tt.atMost ||
					told != 1 {
					t.Errorf("%v after %s, told %d times; want %v", err, took, told, tt.want)
				}
				<-time.After(2 * time.Minute)
				if err := lock.Release(t.Context()); err != nil || len(list(t, bucket, "locks/")) > 0 {
					t.Errorf("left %v, %v", list(t, bucket, "locks/"), err)
				}
			})
		})
	}
}

// TestLockReadingNeverWaits: a restore goes on without a lock.
func TestLockReadingNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, _ := newRepo(t)
		other, err := repo.LockExclusive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		repo.SetLockWait(LockWait{Limit: time.Hour})
		begun := time.Now()
		if lock, err := repo.LockReading(t.Context()); lock != nil || err != nil || time.Since(begun) > time.Second {
			t.Errorf("%v, %v after %s", lock, err, time.Since(begun))
		}
		if err := other.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

package repository

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// slow is a bucket that takes its time.
type slow struct {
	storage.Bucket
	list, put time.Duration
	get       func(name string) // called before an object is read
}

func (s *slow) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	<-time.After(s.list)
	return s.Bucket.List(ctx, prefix, fn)
}

func (s *slow) Put(ctx context.Context, name string, data []byte) error {
	<-time.After(s.put)
	return s.Bucket.Put(ctx, name, data)
}

func (s *slow) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if s.get != nil {
		s.get(name)
	}
	return s.Bucket.Get(ctx, name, offset, length)
}

// begun makes a repository in a slow bucket, and says how long it takes to begin a lock.
func begun(t *testing.T, bucket *slow) (*Repository, *Lock, time.Duration) {
	t.Helper()
	list, put := bucket.list, bucket.put
	bucket.Bucket, bucket.list, bucket.put = storagetest.NewMemory(), 0, 0
	repo, err := Init(t.Context(), bucket, password, quick())
	if err != nil {
		t.Fatal(err)
	}
	bucket.list, bucket.put = list, put
	started := time.Now()
	lock, err := repo.BeginLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return repo, lock, time.Since(started)
}

func TestBeginLockWaitsOnlyInASlowBucket(t *testing.T) {
	settle := defaultLockTiming().settle
	for name, tt := range map[string]struct {
		bucket slow
		waits  bool
	}{
		"at once":       {slow{}, false},
		"fast":          {slow{list: settle / 4, put: settle / 4}, false},
		"slow to list":  {slow{list: settle/2 + time.Millisecond}, true},
		"slow to write": {slow{put: settle/2 + time.Millisecond}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, lock, took := begun(t, &tt.bucket)
				if waited := took >= settle; waited != tt.waits {
					t.Errorf("took %v", took)
				}
				if err := errors.Join(lock.Confirm(), lock.Release(t.Context())); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestBeginLockWaitsBesideARenewal renews a lock between being listed and being read: nobody has seen the holder's new
// object, which may be exclusive.
func TestBeginLockWaitsBesideARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := &slow{}
		repo, lock, _ := begun(t, bucket)
		if err := lock.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		exclusive := lockObject{Time: time.Now(), Hostname: "other", Exclusive: true}
		first := held(t, repo, exclusive)
		bucket.get = func(name string) {
			if name != first {
				return
			}
			held(t, repo, exclusive)
			if err := bucket.Delete(t.Context(), first); err != nil {
				t.Error(err)
			}
		}
		if _, err := repo.BeginLock(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("begin: %v, want ErrLocked", err)
		}
	})
}

// TestBeginLockRace has an exclusive lock written just after ours.
func TestBeginLockRace(t *testing.T) {
	for name, learn := range map[string]func(*Lock) error{
		"confirmed at once": func(l *Lock) error { return l.Confirm() },
		"found out beside":  func(l *Lock) error { <-l.Context().Done(); return context.Cause(l.Context()) },
		"confirmed later":   func(l *Lock) error { <-l.Context().Done(); return l.Confirm() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				repo, lock, _ := begun(t, &slow{})
				other := held(t, repo, lockObject{Time: time.Now(), Hostname: "other", Exclusive: true})
				if err := learn(lock); !errors.Is(err, ErrLocked) {
					t.Errorf("%v, want ErrLocked", err)
				}
				if err := lock.Release(t.Context()); err != nil {
					t.Error(err)
				}
				if left := list(t, repo.bucket, "locks/"); len(left) != 1 || left[0] != other {
					t.Errorf("locks: %v, want the other's only", left)
				}
			})
		})
	}
}

// TestBegunLockShutsOut: a process that removes data looks before our lock is begun, and writes an exclusive lock after
// that. Nobody on our side waited, so that process must give way.
func TestBegunLockShutsOut(t *testing.T) {
	for name, lock := range map[string]func(*Repository, context.Context) (*Lock, error){
		"writer": (*Repository).BeginLock,
		"reader": (*Repository).LockReading,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bucket := &slow{}
				repo, first, _ := begun(t, bucket)
				if err := first.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				settle := repo.options.timing.settle
				bucket.put = settle / 4
				result := make(chan error)
				go func() {
					_, err := repo.LockExclusive(t.Context())
					result <- err
				}()
				<-time.After(settle / 8) // it has looked, and is writing
				ours, err := lock(repo, t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := <-result; !errors.Is(err, ErrLocked) {
					t.Errorf("exclusive: %v, want ErrLocked", err)
				}
				if err := ours.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

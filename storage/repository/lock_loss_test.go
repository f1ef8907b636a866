package repository

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// TestLockOfAMachineThatSlept makes the clock jump, as for a suspended machine: others may have taken the holder for
// dead, and removed the lock and then data.
func TestLockOfAMachineThatSlept(t *testing.T) {
	for name, tt := range map[string]struct {
		slept time.Duration
		lost  bool
	}{
		"a while":         {15 * time.Minute, false},
		"almost too long": {29 * time.Minute, true},
		"a day":           {24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var slept atomic.Int64
				options := quick()
				options.Now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
				repo, err := Init(t.Context(), storagetest.NewMemory(), password, options)
				if err != nil {
					t.Fatal(err)
				}
				lock, err := repo.Lock(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				slept.Store(int64(tt.slept))
				confirmed := lock.Confirm()
				<-time.After(time.Minute)
				synctest.Wait()
				if cause := context.Cause(lock.Context()); errors.Is(cause, ErrLockLost) != tt.lost || errors.Is(confirmed, ErrLockLost) != tt.lost {
					t.Errorf("cause %v, confirmed %v", cause, confirmed)
				}
				if err := lock.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // renewed in between
			if err := lock.Confirm(); err != nil {
				t.Fatal(err)
			}
			<-time.After(7 * time.Minute)
		}
		if _, err := repo.Unlock(t.Context(), func(Holder) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if err := lock.Confirm(); !errors.Is(err, ErrLockLost) || !errors.Is(context.Cause(lock.Context()), ErrLockLost) {
			t.Errorf("a lock that is gone: %v", err)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestWriterStopsWhenItsLockIsTaken removes the lock of a working writer: nothing that relies on the lock is written.
func TestWriterStopsWhenItsLockIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w, err := repo.NewWriter(lock.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.SaveBlob(lock.Context(), DataBlob, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Unlock(t.Context(), func(Holder) bool { return true }); err != nil {
			t.Fatal(err)
		}
		<-lock.Context().Done()
		if err := w.Flush(); !errors.Is(err, ErrLockLost) {
			t.Errorf("flush: %v, want ErrLockLost", err)
		}
		if written := append(list(t, bucket, "index/"), list(t, bucket, "data/")...); len(written) > 0 {
			t.Errorf("written all the same: %v", written)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLockReading takes a lock where that is possible, and reads anyway where it is not.
func TestLockReading(t *testing.T) {
	repo, bucket := newRepo(t)
	repo.options = hasty().withDefaults()
	lock, err := repo.LockReading(t.Context())
	if err != nil || lock == nil || len(list(t, bucket, "locks/")) != 1 {
		t.Fatalf("lock %v, %v", lock, err)
	}
	if _, err := repo.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrLocked) {
		t.Errorf("prune beside a reader: %v", err)
	}
	if err := lock.Release(t.Context()); err != nil || len(list(t, bucket, "locks/")) != 0 {
		t.Errorf("release: %v", err)
	}
	without := func(what string, repo *Repository) {
		t.Helper()
		lock, err := repo.LockReading(t.Context())
		if lock != nil || err != nil {
			t.Errorf("%s: lock %v, %v", what, lock, err)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	onPut := func(err error) *Repository {
		faulty := storagetest.NewFaulty(bucket, storagetest.Fault{At: 1, Stop: true, Err: err, Match: func(op storagetest.Operation) bool {
			return op.Verb == storagetest.Put
		}})
		repo, err := Open(t.Context(), faulty, password, hasty())
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	without("credentials that may only read", onPut(storage.ErrPermission))
	without("a bucket that is full", onPut(storage.ErrNoSpace))
	if lock, err := onPut(storage.ErrUnreachable).LockReading(t.Context()); lock != nil || !errors.Is(err, storage.ErrUnreachable) {
		t.Errorf("a bucket that cannot be reached: lock %v, %v", lock, err)
	}
	held(t, repo, lockObject{Time: time.Now(), Hostname: "other", PID: 1, Exclusive: true})
	without("while somebody removes data", repo)
}

// beforePut is a bucket in which something happens just before the first object is written.
type beforePut struct {
	storage.Bucket
	once sync.Once
	do   func()
}

func (b *beforePut) Put(ctx context.Context, name string, data []byte) error {
	b.once.Do(b.do)
	return b.Bucket.Put(ctx, name, data)
}

// TestLockReadingTakesNoTime: a restore begins at once. A process that has seen no lock and is about to remove data
// still sees the lock in time, and gives way.
func TestLockReadingTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, bucket := newRepo(t)
		var lock *Lock
		remover, err := Open(t.Context(), &beforePut{Bucket: bucket, do: func() {
			begun := time.Now()
			var err error
			if lock, err = reader.LockReading(t.Context()); err != nil || lock == nil || time.Since(begun) > 0 {
				t.Errorf("lock %v, %v, after %v", lock, err, time.Since(begun))
			}
		}}, password, quick())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remover.LockExclusive(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("the one who removes data: %v, want ErrLocked", err)
		}
		if err := lock.Release(t.Context()); err != nil || len(list(t, bucket, "locks/")) > 0 {
			t.Errorf("release: %v", err)
		}
	})
}

package repository

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// declareDead removes all locks, like somebody who takes their holders for dead.
func declareDead(t *testing.T, bucket storage.Bucket) {
	t.Helper()
	for _, name := range list(t, bucket, "locks/") {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

// TestWriterNamesNothingWithoutItsLock: a writer that was taken for dead, and has not noticed yet, writes no index
// object. Others may have removed its packs, because no index named them, and the next backup would rely on them.
func TestWriterNamesNothingWithoutItsLock(t *testing.T) {
	repo, bucket := newRepo(t)
	for name, begin := range map[string]func(context.Context) (*Lock, error){"lock": repo.Lock, "begun": repo.BeginLock} {
		lock, err := begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w, err := repo.NewWriter(lock.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.SaveBlob(lock.Context(), DataBlob, []byte(name)); err != nil {
			t.Fatal(err)
		}
		declareDead(t, bucket)
		if err := w.Flush(); !errors.Is(err, ErrLockLost) {
			t.Errorf("%s: flush: %v, want ErrLockLost", name, err)
		}
		if written := list(t, bucket, "index/"); len(written) > 0 {
			t.Errorf("%s: written all the same: %v", name, written)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestBegunWriterSeesAnExclusiveLockInTime: if a writer has overlooked a lock, no index object names what it wrote.
func TestBegunWriterSeesAnExclusiveLockInTime(t *testing.T) {
	repo, bucket := newRepo(t)
	lock, err := repo.BeginLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held(t, repo, lockObject{Time: time.Now(), Hostname: "other", PID: 1, Exclusive: true})
	w, err := repo.NewWriter(lock.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, saved := w.SaveBlob(lock.Context(), DataBlob, []byte("x"))
	if err := errors.Join(saved, w.Flush()); !errors.Is(err, ErrLocked) {
		t.Errorf("flush: %v, want ErrLocked", err)
	}
	if written := list(t, bucket, "index/"); len(written) > 0 {
		t.Errorf("written all the same: %v", written)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPruneRemovesNothingWithoutItsLock lets others take a working prune for dead. A backup may have begun since then,
// and rely on the old index; a repair may have put the old packs into a new index.
func TestPruneRemovesNothingWithoutItsLock(t *testing.T) {
	for name, tt := range map[string]struct {
		verb, prefix    string
		removes, passes int // how many objects it still removes, in how many seconds
	}{
		"while the new index is written": {verb: "put", prefix: "index/"},
		"while the old index is removed": {verb: "delete", prefix: "index/", removes: 1, passes: 2},
		"while old packs are removed":    {verb: "delete", prefix: "data/", removes: 1, passes: 2},
	} {
		t.Run(name, func(t *testing.T) {
			memory, volumes := worn(t)
			var old []string
			var slept atomic.Int64
			options := hasty()
			options.Now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
			bucket := &interposed{Memory: memory}
			repo, err := Open(t.Context(), bucket, password, options)
			if err != nil {
				t.Fatal(err)
			}
			died := false
			_, err = repo.Prune(t.Context(), PruneOptions{Alone: func(ctx context.Context, do func(context.Context) error) error {
				old = list(t, memory, tt.prefix)
				bucket.verb, bucket.prefix, bucket.do = tt.verb, tt.prefix, func() {
					died = true
					slept.Store(int64(tt.passes) * int64(time.Second))
					declareDead(t, memory)
				}
				return do(ctx)
			}})
			if !errors.Is(err, ErrLockLost) || !died {
				t.Errorf("prune: %v, want ErrLockLost", err)
			}
			now, removed := list(t, memory, tt.prefix), 0
			for _, name := range old {
				if !slices.Contains(now, name) {
					removed++
				}
			}
			if removed != tt.removes {
				t.Errorf("%d objects of %s were removed, want %d", removed, tt.prefix, tt.removes)
			}
			sound(t, memory, volumes)
		})
	}
}

func TestForgetRemovesNothingWithoutItsLock(t *testing.T) {
	memory, volumes := worn(t)
	lock, err := reopen(t, memory).LockExclusive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	declareDead(t, memory)
	for id := range volumes {
		if err := lock.RemoveSnapshots(id); !errors.Is(err, ErrLockLost) {
			t.Errorf("forget: %v, want ErrLockLost", err)
		}
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Error(err)
	}
	sound(t, memory, volumes)
}

// TestLockIsNotRenewedBehindTheBackOfOthers: a process that removes a lock just before the new one is written may not
// see the new one, so the new one is worth nothing.
func TestLockIsNotRenewedBehindTheBackOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := &interposed{Memory: storagetest.NewMemory(), verb: "put", prefix: "locks/"}
		repo, err := Init(t.Context(), bucket, password, quick())
		if err != nil {
			t.Fatal(err)
		}
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bucket.arm(func() { declareDead(t, bucket.Memory) })
		<-time.After(defaultLockTiming().refresh + time.Minute)
		synctest.Wait()
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLockLost) {
			t.Errorf("cause %v, want ErrLockLost", cause)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

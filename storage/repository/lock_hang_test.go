package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// stalling is a Bucket that stops answering some of its operations at some moment, until their context ends.
type stalling struct {
	*storagetest.Memory
	stalled atomic.Bool
	does    func(storagetest.Operation) bool
	stores  bool // objects that are put arrive, and only the answer does not
}

func (s *stalling) wait(ctx context.Context, verb storagetest.Verb, name string) error {
	if !s.stalled.Load() || !s.does(storagetest.Operation{Verb: verb, Name: name}) {
		return nil
	}
	<-ctx.Done()
	return fmt.Errorf("%s %s: %w", verb, name, context.Cause(ctx))
}

func (s *stalling) Stat(ctx context.Context, name string) (storage.Info, error) {
	if err := s.wait(ctx, storagetest.Stat, name); err != nil {
		return storage.Info{}, err
	}
	return s.Memory.Stat(ctx, name)
}

func (s *stalling) Put(ctx context.Context, name string, data []byte) error {
	if s.stores {
		if err := s.Memory.Put(ctx, name, data); err != nil {
			return err
		}
	}
	if err := s.wait(ctx, storagetest.Put, name); err != nil {
		return err
	}
	return s.Memory.Put(ctx, name, data)
}

func (s *stalling) Delete(ctx context.Context, name string) error {
	if err := s.wait(ctx, storagetest.Delete, name); err != nil {
		return err
	}
	return s.Memory.Delete(ctx, name)
}

// stallingAt makes a repository in a bucket that, once told to, does not answer calls that verb and prefix select.
func stallingAt(t *testing.T, verb storagetest.Verb, prefixes ...string) (*Repository, *stalling) {
	t.Helper()
	bucket := &stalling{Memory: storagetest.NewMemory(), does: func(op storagetest.Operation) bool {
		for _, prefix := range prefixes {
			if op.Verb == verb && strings.HasPrefix(op.Name, prefix) {
				return true
			}
		}
		return false
	}}
	repo, err := Init(t.Context(), bucket, password, quick())
	if err != nil {
		t.Fatal(err)
	}
	return repo, bucket
}

// TestLockWhoseRenewalHangs: such a lock is given up like one whose renewal fails, before others may take its holder
// for dead.
func TestLockWhoseRenewalHangs(t *testing.T) {
	for name, tt := range map[string]struct {
		verb   storagetest.Verb
		stores bool
		lost   bool
	}{
		"looking for the old one":          {storagetest.Stat, false, true},
		"writing the new one":              {storagetest.Put, false, true},
		"hearing that the new one arrived": {storagetest.Put, true, true},
		"removing the old one":             {storagetest.Delete, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				repo, bucket := stallingAt(t, tt.verb, "locks/")
				lock, err := repo.Lock(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				bucket.stores = tt.stores
				bucket.stalled.Store(true)
				select {
				case <-lock.Context().Done():
				case <-time.After(time.Hour):
				}
				cause, took := context.Cause(lock.Context()), time.Since(begun)
				if errors.Is(cause, ErrLockLost) != tt.lost || tt.lost && (took < 20*time.Minute || took > 25*time.Minute) {
					t.Errorf("after %v: %v", took, cause)
				}
				bucket.stalled.Store(!tt.lost) // locks that cannot be removed are not this test's business
				if err := lock.Release(t.Context()); tt.lost && err != nil {
					t.Error(err)
				}
				if left := list(t, bucket, "locks/"); tt.lost && len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		})
	}
}

// TestNothingIsWrittenLate silences the bucket just after a lock was confirmed: whatever relies on the lock is given up
// before others may take its holder for dead.
func TestNothingIsWrittenLate(t *testing.T) {
	for name, write := range map[string]func(*Repository, *Lock) error{
		"a repository snapshot": func(repo *Repository, lock *Lock) error {
			tree := Hash(nil)
			_, _, err := repo.SaveSnapshot(lock.Context(), Snapshot{Tree: &tree})
			return err
		},
		"an index object": func(repo *Repository, lock *Lock) error {
			_, err := repo.saveIndex(lock.Context(), packfile.IndexObject{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				repo, bucket := stallingAt(t, storagetest.Put, "locks/", "snapshots/", "index/")
				lock, err := repo.Lock(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				bucket.stalled.Store(true)
				<-time.After(20 * time.Minute) // the lock tries in vain to renew itself
				if err := lock.Confirm(); err != nil {
					t.Fatal(err)
				}
				err = write(repo, lock)
				if took := time.Since(begun); !errors.Is(err, ErrLockLost) || took > 25*time.Minute {
					t.Errorf("after %v: %v", took, err)
				}
				if err := lock.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLockThatMayHaveBeenWritten: a process that stops waiting for the answer leaves nothing that keeps others out.
func TestLockThatMayHaveBeenWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := stallingAt(t, storagetest.Put, "locks/")
		bucket.stores = true
		bucket.stalled.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := repo.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lock: %v", err)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

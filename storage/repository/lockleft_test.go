package repository

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// locksStay is a bucket that can be told to keep all locks: the credentials may not remove them, or it does not answer.
type locksStay struct {
	storage.Bucket
	stay atomic.Bool
}

func (b *locksStay) Delete(ctx context.Context, name string) error {
	if b.stay.Load() && strings.HasPrefix(name, kindLock.prefix()) {
		return errStays
	}
	return b.Bucket.Delete(ctx, name)
}

var errStays = errors.New("may not be removed")

// leftBed is a repository with work for everyone, whose locks stay.
func leftBed(t *testing.T) (*locksStay, *Repository, *[]string) {
	t.Helper()
	whole, _ := worn(t)
	bucket := &locksStay{Bucket: whole}
	told := &[]string{}
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	repo.SetLockLeft(func(err error) {
		if !errors.Is(err, errStays) {
			t.Errorf("told of %v", err)
		}
		*told = append(*told, err.Error())
	})
	bucket.stay.Store(true)
	return bucket, repo, told
}

// TestDoneIsDone does everything that takes a lock, while no lock can be removed. Everything succeeds; somebody learns
// which lock stays, until when, and what to do; and the leftovers of the own process block nothing.
func TestDoneIsDone(t *testing.T) {
	bucket, repo, told := leftBed(t)
	next := func(what, keepsFrom string, do func() error) {
		t.Helper()
		*told = nil
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(*told) == 0 {
			t.Fatalf("%s: nobody was told", what)
		}
		text := (*told)[len(*told)-1]
		for _, word := range []string{keepsFrom, " until 20", "remove it before with: stsbackup unlock", "locks/"} {
			if !strings.Contains(text, word) {
				t.Errorf("%s: %q does not say %q", what, text, word)
			}
		}
	}
	var key ID
	next("add a key", "keeps everyone else from removing data from the repository", func() (err error) {
		key, err = repo.AddKey(t.Context(), newPassword)
		return err
	})
	next("remove a key", "keeps everyone else from working on the repository", func() error { return repo.RemoveKey(t.Context(), key) })
	next("prune", "keeps everyone else from removing data", func() error {
		report, err := repo.Prune(t.Context(), PruneOptions{mergeFrom: 3})
		if err == nil && report.PacksRepacked+report.PacksMerged+report.PacksRemoved == 0 {
			t.Error("there was nothing to prune")
		}
		return err
	})
	next("repair", "keeps everyone else from working", func() error {
		_, err := repo.Repair(t.Context(), RepairOptions{})
		return err
	})
	if left := list(t, bucket, "locks/"); len(left) < 4 {
		t.Errorf("only %v are left: the test proves nothing", left)
	}
	other, err := Open(t.Context(), bucket, password, elsewhere())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.LockExclusive(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("another host: %v", err)
	}
	bucket.stay.Store(false)
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.End(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if left := list(t, bucket, "locks/"); len(left) > 0 {
		t.Errorf("left although they can be removed: %v", left)
	}
	if _, err := other.LockExclusive(t.Context()); err != nil {
		t.Errorf("another host, afterwards: %v", err)
	}
}

// elsewhere returns the options of a process on another host.
func elsewhere() Options {
	options := hasty()
	options.Hostname = "elsewhere"
	return options
}

// TestFailedIsFailed: if the work fails, its error also tells of a lock that stays, and nothing else does.
func TestFailedIsFailed(t *testing.T) {
	_, repo, told := leftBed(t)
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("the work failed")
	if err := lock.End(t.Context(), failure); !errors.Is(err, failure) || !errors.Is(err, errStays) || len(*told) > 0 {
		t.Errorf("%v; told: %q", err, *told)
	}
}

// TestUnlockRemovesWhatWasLeft: to remove a lock that this process has given up, nobody needs to prove that its holder
// is dead.
func TestUnlockRemovesWhatWasLeft(t *testing.T) {
	bucket, repo, _ := leftBed(t)
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(t.Context()); !errors.Is(err, errStays) {
		t.Fatal(err)
	}
	bucket.stay.Store(false)
	removed, err := repo.Unlock(t.Context(), func(Holder) bool { return false })
	if err != nil || len(removed) != 1 || len(list(t, bucket, "locks/")) > 0 {
		t.Errorf("%v, %v", removed, err)
	}
}

// TestDeadLocksThatStay: a dead lock that cannot be removed does not block processes that remove nothing, if its holder
// removed nothing either; otherwise it does.
func TestDeadLocksThatStay(t *testing.T) {
	take := map[bool]func(*Repository) (*Lock, error){
		false: func(r *Repository) (*Lock, error) { return r.Lock(t.Context()) },
		true:  func(r *Repository) (*Lock, error) { return r.LockExclusive(t.Context()) },
	}
	for _, tt := range []struct{ left, next bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		bucket, _, _ := leftBed(t)
		holder, err := Open(t.Context(), bucket, password, elsewhere())
		if err != nil {
			t.Fatal(err)
		}
		lock, err := take[tt.left](holder)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(t.Context()); !errors.Is(err, errStays) {
			t.Fatal(err)
		}
		options := hasty()
		options.Now = func() time.Time { return time.Now().Add(options.timing.stale + time.Minute) }
		later, err := Open(t.Context(), bucket, password, options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = take[tt.next](later)
		if free := !tt.left && !tt.next; free != (err == nil) || err != nil && !errors.Is(err, errStays) {
			t.Errorf("a dead exclusive lock: %t; an exclusive one is wanted: %t; %v", tt.left, tt.next, err)
		}
	}
}

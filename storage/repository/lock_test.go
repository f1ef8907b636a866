package repository

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// held writes a lock as another holder would.
func held(t *testing.T, repo *Repository, lock lockObject) string {
	t.Helper()
	id, _, err := repo.saveObject(t.Context(), kindLock, lock)
	if err != nil {
		t.Fatal(err)
	}
	return kindLock.name(id)
}

func TestLockKeepsItselfAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := list(t, bucket, "locks/")
		if len(first) != 1 {
			t.Fatalf("locks: %v", first)
		}
		<-time.After(time.Hour) // of the bubble's clock
		synctest.Wait()
		now := list(t, bucket, "locks/")
		if len(now) != 1 || now[0] == first[0] {
			t.Errorf("after an hour: %v, at first %v", now, first)
		}
		if err := lock.Context().Err(); err != nil {
			t.Error(err)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("after release: %v", left)
		}
	})
}

func TestLockIsReleasedAfterCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		ctx, cancel := context.WithCancel(t.Context())
		lock, err := repo.Lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := lock.Release(ctx); err != nil {
			t.Fatal(err)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestLockThatIsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list(t, bucket, "locks/") {
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		<-lock.Context().Done()
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLockLost) {
			t.Errorf("cause: %v, want ErrLockLost", cause)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLockThatCannotBeRenewed is given up before others may take it for dead.
func TestLockThatCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := &failing{Bucket: storagetest.NewMemory(), name: "nothing"}
		repo, err := Init(t.Context(), bucket, password, quick())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		lock, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bucket.name = "locks/"
		<-lock.Context().Done()
		if took := time.Since(begun); took < 20*time.Minute || took > 29*time.Minute {
			t.Errorf("given up after %v", took)
		}
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrLockLost) || !errors.Is(cause, storage.ErrNoSpace) {
			t.Errorf("cause: %v, want ErrLockLost and why", cause)
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLockOfOthers(t *testing.T) {
	now := time.Now()
	dead := 1 << 22 // beyond the largest process id
	tests := map[string]struct {
		lock    lockObject
		refused bool
		remains bool
	}{
		"another writer":              {lockObject{Time: now, Hostname: "other", PID: 1}, false, true},
		"exclusive":                   {lockObject{Time: now, Hostname: "other", PID: 77, Username: "ann", Exclusive: true}, true, true},
		"exclusive, of 29 minutes":    {lockObject{Time: now.Add(-29 * time.Minute), Hostname: "other", PID: 77, Username: "ann", Exclusive: true}, true, true},
		"exclusive, of 31 minutes":    {lockObject{Time: now.Add(-31 * time.Minute), Hostname: "other", PID: 77, Exclusive: true}, false, false},
		"exclusive, process gone":     {lockObject{Time: now, Hostname: "host", PID: dead, Exclusive: true}, false, false},
		"exclusive, process there":    {lockObject{Time: now, Hostname: "host", PID: os.Getpid(), Username: "ann", Exclusive: true}, true, true},
		"gone, but of another host":   {lockObject{Time: now, Hostname: "other", PID: dead, Username: "ann", Exclusive: true}, true, true},
		"writer of 31 minutes":        {lockObject{Time: now.Add(-31 * time.Minute), Hostname: "other", PID: 1}, false, false},
		"exclusive, clock one day on": {lockObject{Time: now.Add(24 * time.Hour), Hostname: "other", Username: "ann", Exclusive: true}, true, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			repo, bucket := newRepo(t)
			other := held(t, repo, tt.lock)
			lock, err := repo.Lock(t.Context())
			if tt.refused {
				if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "ann") || !strings.Contains(err.Error(), tt.lock.Hostname) {
					t.Errorf("lock: %v, want ErrLocked with the holder's name", err)
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				if err := lock.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if left := list(t, bucket, "locks/"); (len(left) == 1 && left[0] == other) != tt.remains || len(left) > 1 {
				t.Errorf("locks that are left: %v", left)
			}
		})
	}
}

// TestLockRace has an exclusive lock written between our look and our lock.
func TestLockRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		result := make(chan error)
		go func() {
			_, err := repo.Lock(t.Context())
			result <- err
		}()
		synctest.Wait() // it has written its own, and waits before it looks again
		held(t, repo, lockObject{Time: time.Now(), Hostname: "other", Username: "ann", Exclusive: true})
		if err := <-result; !errors.Is(err, ErrLocked) {
			t.Errorf("lock: %v, want ErrLocked", err)
		}
		if left := list(t, bucket, "locks/"); len(left) != 1 {
			t.Errorf("locks: %v, want the other's only", left)
		}
	})
}

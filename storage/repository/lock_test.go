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

// TestLockThatCannotBeRenewed: such a lock is given up before others may take its holder for dead.
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
		"another writer": {lockObject{Time: now, Hostname: "other", PID: 1}, false, true},
		"exclusive":      {lockObject{Time: now, Hostname: "other", PID: 77, Username: "ann", Exclusive: true}, true, true},
		"exclusive, of 29 minutes": {
			lockObject{Time: now.Add(-29 * time.Minute), Hostname: "other", PID: 77, Username: "ann", Exclusive: true},
			true,
			true,
		},
		"exclusive, of 31 minutes":  {lockObject{Time: now.Add(-31 * time.Minute), Hostname: "other", PID: 77, Exclusive: true}, false, false},
		"exclusive, process gone":   {lockObject{Time: now, Hostname: "host", PID: dead, Exclusive: true}, false, false},
		"exclusive, process there":  {lockObject{Time: now, Hostname: "host", PID: os.Getpid(), Username: "ann", Exclusive: true}, true, true},
		"gone, but of another host": {lockObject{Time: now, Hostname: "other", PID: dead, Username: "ann", Exclusive: true}, true, true},
		"writer of 31 minutes":      {lockObject{Time: now.Add(-31 * time.Minute), Hostname: "other", PID: 1}, false, false},
		"exclusive, clock one day on": {
			lockObject{Time: now.Add(24 * time.Hour), Hostname: "other", Username: "ann", Exclusive: true},
			true,
			true,
		}, // stored just now
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

// TestLockOfATimeToCome: if clocks differ by more than they may, the bucket says how old a lock is. The lock of a dead
// holder blocks nobody for longer than any other, and a held lock stays, whoever's clock is wrong.
func TestLockOfATimeToCome(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead   time.Duration // how far the holder's clock is ahead
		behind  time.Duration // how far ours is behind
		age     time.Duration
		removed bool
	}{
		"a day ahead, stored just now":             {24 * time.Hour, 0, 0, false},
		"a day ahead, stored 29 minutes ago":       {24 * time.Hour, 0, 29 * time.Minute, false},
		"a day ahead, stored 31 minutes ago":       {24 * time.Hour, 0, 31 * time.Minute, true},
		"as much ahead as clocks may differ":       {7 * time.Minute, 0, 31 * time.Minute, false},
		"the same, later":                          {7 * time.Minute, 0, 38 * time.Minute, true},
		"our clock is an hour behind":              {0, time.Hour, 31 * time.Minute, false},
		"our clock is an hour behind, and it sees": {0, time.Hour, 91 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := quick()
				options.Now = func() time.Time { return time.Now().Add(-tt.behind) }
				bucket := storagetest.NewMemory()
				repo, err := Init(t.Context(), bucket, password, options)
				if err != nil {
					t.Fatal(err)
				}
				other := held(t, repo, lockObject{Time: time.Now().Add(tt.ahead), Hostname: "other", PID: 1, Exclusive: true})
				<-time.After(tt.age)
				holders, err := repo.Locks(t.Context())
				if err != nil || len(holders) != 1 || holders[0].Dead != tt.removed {
					t.Errorf("holders: %+v, %v", holders, err)
				}
				lock, err := repo.Lock(t.Context())
				if errors.Is(err, ErrLocked) == tt.removed || err != nil && !tt.removed && !errors.Is(err, ErrLocked) {
					t.Errorf("lock: %v", err)
				}
				if err := lock.Release(t.Context()); err != nil {
					t.Error(err)
				}
				if left := list(t, bucket, "locks/"); (len(left) == 1 && left[0] == other) == tt.removed || len(left) > 1 {
					t.Errorf("left: %v", left)
				}
			})
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
		synctest.Wait() // it has written its own, and waits before its second look
		held(t, repo, lockObject{Time: time.Now(), Hostname: "other", Username: "ann", Exclusive: true})
		if err := <-result; !errors.Is(err, ErrLocked) {
			t.Errorf("lock: %v, want ErrLocked", err)
		}
		if left := list(t, bucket, "locks/"); len(left) != 1 {
			t.Errorf("locks: %v, want the other's only", left)
		}
	})
}

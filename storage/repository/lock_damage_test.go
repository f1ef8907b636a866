package repository

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// TestUnreadableLockGoesStale: nobody can say whose lock it is. So it counts for as long as a lock that is not renewed,
// by the bucket's time, and then goes away without anybody's help.
func TestUnreadableLockGoesStale(t *testing.T) {
	sealed := func(t *testing.T, repo *Repository, plain string) []byte {
		t.Helper()
		data, err := repo.sealer.Seal(nil, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, content := range map[string]func(*testing.T, *Repository) (named ID, data []byte){
		"not what its name says": func(*testing.T, *Repository) (ID, []byte) { return Hash([]byte("torn")), []byte("half a lo") },
		"cannot be decrypted":    func(*testing.T, *Repository) (ID, []byte) { d := []byte(noise("lock", 100)); return Hash(d), d },
		"no JSON": func(t *testing.T, repo *Repository) (ID, []byte) {
			d := sealed(t, repo, `{"time":"soon"}`)
			return Hash(d), d
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				repo, bucket := newRepo(t)
				id, data := content(t, repo)
				put(t, bucket, kindLock.name(id), data)
				written := time.Now()
				for _, minutes := range []int{0, 15, 29} {
					<-time.After(time.Until(written.Add(time.Duration(minutes) * time.Minute)))
					until := written.Add(30 * time.Minute).Format(time.RFC3339)
					if _, err := repo.Lock(t.Context()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), until) {
						t.Errorf("after %d minutes: %v, want ErrLocked until %s", minutes, err, until)
					}
					report, err := repo.Check(t.Context(), CheckOptions{})
					if err != nil || !report.OnlyLocks() || !strings.Contains(report.Problems[0].Reason, "stsbackup unlock") {
						t.Errorf("check: %+v, %v", report, err)
					}
				}
				<-time.After(time.Until(written.Add(31 * time.Minute)))
				if holders, err := repo.Locks(t.Context()); err != nil || len(holders) != 1 || !holders[0].Dead || holders[0].Damage == "" {
					t.Errorf("holders: %+v, %v", holders, err)
				}
				if report, err := repo.Check(t.Context(), CheckOptions{}); err != nil || !report.OnlyLocks() {
					t.Errorf("check: %+v, %v", report, err)
				}
				lock, err := repo.LockExclusive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := lock.Release(t.Context()); err != nil || len(list(t, bucket, "locks/")) > 0 {
					t.Errorf("left: %v, %v", list(t, bucket, "locks/"), err)
				}
			})
		})
	}
}

// TestUnreachableLockStays: a lock that cannot be fetched says nothing about its holder, however old the object is.
func TestUnreachableLockStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, memory := newRepo(t)
		repo := reopen(t, memory)
		other := held(t, repo, lockObject{Time: time.Now().Add(time.Hour), Hostname: "other", Exclusive: true})
		<-time.After(45 * time.Minute)
		// Its second operation reads the lock.
		repo.bucket = storagetest.NewFaulty(memory, storagetest.Fault{At: 2, Err: storage.ErrUnreachable})
		if _, err := repo.Lock(t.Context()); !errors.Is(err, storage.ErrUnreachable) || errors.Is(err, ErrLocked) {
			t.Errorf("lock: %v, want ErrUnreachable", err)
		}
		if left := list(t, memory, "locks/"); len(left) != 1 || left[0] != other {
			t.Errorf("left: %v", left)
		}
	})
}

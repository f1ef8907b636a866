package repository

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

func TestPasswordChange(t *testing.T) {
	bucket, volumes := small(t)
	dir := inDirectory(t, bucket)
	shared := directory(t, dir)
	repo := func(p Secret) *Repository {
		t.Helper()
		repo, err := Open(t.Context(), shared, p, hasty())
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	old := repo(password)
	added, err := old.AddKey(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if err := old.RemoveKey(t.Context(), old.key); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("remove the key in use: %v", err)
	}
	if err := old.RemoveKey(t.Context(), Hash(nil)); !errors.Is(err, ErrNoKey) {
		t.Errorf("remove an unknown key: %v", err)
	}
	changed := repo("new")
	keys, err := changed.Keys(t.Context())
	if err != nil || len(keys) != 2 || changed.key != added {
		t.Fatalf("keys: %+v, %v", keys, err)
	}
	for _, key := range keys {
		if key.InUse != (key.ID == added) || key.Hostname != "host" || key.Damage != "" {
			t.Errorf("%+v", key)
		}
	}
	if err := changed.RemoveKey(t.Context(), old.key); err != nil {
		t.Fatal(err)
	}
	// The other process, still working with a removed key, must not lock everybody out.
	if err := old.RemoveKey(t.Context(), added); !errors.Is(err, ErrKeyNeeded) || len(list(t, shared, "keys/")) != 1 {
		t.Errorf("remove the last key: %v", err)
	}
	if _, err := Open(t.Context(), shared, password, hasty()); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("the old password: %v", err)
	}
	for id, v := range volumes {
		if got, err := readBack(t.Context(), changed, id); err != nil || len(got) != len(v) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if out, err := restic(t, dir, "new", "check"); err != nil {
		t.Errorf("restic with the new password: %v\n%s", err, out)
	}
	if out, err := restic(t, dir, password, "check"); err == nil {
		t.Errorf("restic with the old password: %s", out)
	}
	if left := list(t, shared, "locks/"); len(left) > 0 {
		t.Errorf("locks: %v", left)
	}
}

func TestKeysAreBounded(t *testing.T) {
	repo, bucket := newRepo(t)
	repo.options = hasty().withDefaults()
	for range maxKeys - 1 {
		if _, err := repo.AddKey(t.Context(), "more"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.AddKey(t.Context(), "more"); err == nil {
		t.Error("added more keys than are tried")
	}
	if n := len(list(t, bucket, "keys/")); n != maxKeys {
		t.Errorf("%d keys", n)
	}
}

// TestTwoKeysTooMany adds two keys at once where there is room for one: whoever finds the other's key removes its own
// again, so that the repository can be opened.
func TestTwoKeysTooMany(t *testing.T) {
	repo, memory := newRepo(t)
	repo.options = hasty().withDefaults()
	for range maxKeys - 2 {
		if _, err := repo.AddKey(t.Context(), "more"); err != nil {
			t.Fatal(err)
		}
	}
	bucket := &interposed{Memory: memory, verb: "put", prefix: "keys/", do: func() {
		if _, err := repo.AddKey(t.Context(), "first"); err != nil {
			t.Error(err)
		}
	}}
	second, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.AddKey(t.Context(), "second"); err == nil || !strings.Contains(err.Error(), "key remove") {
		t.Errorf("the second of two: %v", err)
	}
	if n := len(list(t, memory, "keys/")); n != maxKeys {
		t.Errorf("%d keys", n)
	}
	for password, want := range map[Secret]error{"first": nil, "second": ErrWrongPassword} {
		if _, err := Open(t.Context(), memory, password, hasty()); !errors.Is(err, want) {
			t.Errorf("open with %s: %v, want %v", password.Reveal(), err, want)
		}
	}
}

// TestTooManyKeysLockNobodyOut: several processes each add the last key and die before they look again.
func TestTooManyKeysLockNobodyOut(t *testing.T) {
	repo, bucket := newRepo(t)
	for range maxTriedKeys - 1 {
		raw, err := newKeyObject(repo.master, "more", hasty().withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		put(t, bucket, kindKey.name(Hash(raw)), raw)
	}
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.AddKey(t.Context(), "new"); err == nil {
		t.Error("added one more")
	}
	keys, err := repo.Keys(t.Context())
	if err != nil || len(keys) != maxTriedKeys {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	for _, key := range keys {
		if key.InUse {
			continue
		}
		if err := repo.RemoveKey(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(list(t, bucket, "keys/")); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestFailedKeyOpensNothing loses the answer to a write: a key that was reported as failed is not there.
func TestFailedKeyOpensNothing(t *testing.T) {
	for _, how := range []storagetest.How{storagetest.Before, storagetest.After, storagetest.Torn} {
		_, memory := newRepo(t)
		faulty := storagetest.NewFaulty(memory, storagetest.Fault{At: 1, How: how, Match: func(op storagetest.Operation) bool {
			return op.Verb == storagetest.Put && op.Name[:5] == "keys/"
		}})
		repo, err := Open(t.Context(), faulty, password, hasty())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.AddKey(t.Context(), "new"); !errors.Is(err, storagetest.ErrFault) {
			t.Errorf("%s: %v", how, err)
		}
		if keys := list(t, memory, "keys/"); len(keys) != 1 || !faulty.Fired() {
			t.Errorf("%s: keys %v", how, keys)
		}
	}
}

func TestUnlock(t *testing.T) {
	now := time.Now()
	repo, bucket := newRepo(t)
	alive := held(t, repo, lockObject{Time: now, Hostname: "pod-1/20261121T081200Z-3fa9", Username: "ann", PID: 1})
	held(t, repo, lockObject{Time: now.Add(-31 * time.Minute), Hostname: "old", PID: 1})
	held(t, repo, lockObject{Time: now, Hostname: "host/20261121T081200Z-dead", PID: 1 << 22, Exclusive: true})
	put(t, bucket, kindLock.name(Hash([]byte("torn"))), []byte("half a lo"))
	if _, err := repo.Lock(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("lock beside a damaged lock: %v", err)
	}
	removed, err := repo.Unlock(t.Context(), nil)
	if err != nil || len(removed) < 1 || len(removed) > 3 { // Lock has removed dead ones on its way
		t.Errorf("removed %v, %v", removed, err)
	}
	if left := list(t, bucket, "locks/"); len(left) != 1 || left[0] != alive {
		t.Errorf("left: %v", left)
	}
	holders, err := repo.Locks(t.Context())
	if err != nil || len(holders) != 1 || holders[0].Host != "pod-1" || holders[0].Operation != "20261121T081200Z-3fa9" || holders[0].Dead {
		t.Fatalf("%+v, %v", holders, err)
	}
	if got, want := holders[0].String(), "ann on pod-1 (pid 1, operation 20261121T081200Z-3fa9) since "+now.Format(time.RFC3339); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Whoever knows that the operation is over need not wait.
	removed, err = repo.Unlock(t.Context(), func(h Holder) bool { return h.Operation == "20261121T081200Z-3fa9" })
	if err != nil || len(removed) != 1 || len(list(t, bucket, "locks/")) != 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestLocksSayWhatIsBeingDone(t *testing.T) {
	repo, _ := newRepo(t)
	repo.options = hasty().withDefaults()
	repo.SetOperation("20261121T081200Z-3fa9")
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	holders, err := repo.Locks(t.Context())
	if err != nil || len(holders) != 1 || holders[0].Host != "host" || holders[0].Operation != "20261121T081200Z-3fa9" || holders[0].Dead {
		t.Errorf("%+v, %v", holders, err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestExclusiveLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, bucket := newRepo(t)
		writer, err := repo.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.LockExclusive(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("beside a writer: %v", err)
		}
		if err := writer.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, err := repo.LockExclusive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.LockExclusive(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("beside another: %v", err)
		}
		if _, err := repo.Lock(t.Context()); !errors.Is(err, ErrLocked) {
			t.Errorf("a writer beside it: %v", err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if holders, err := repo.Locks(t.Context()); err != nil || len(holders) != 1 || !holders[0].Exclusive {
			t.Errorf("after an hour: %v, %v", holders, err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := list(t, bucket, "locks/"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestExclusiveLockRace starts two at once: at most one gets it.
func TestExclusiveLockRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, _ := newRepo(t)
		got := make(chan *Lock, 2)
		for range 2 {
			go func() {
				lock, err := repo.LockExclusive(t.Context())
				if err != nil && !errors.Is(err, ErrLocked) {
					t.Error(err)
				}
				got <- lock
			}()
		}
		first, second := <-got, <-got
		if first != nil && second != nil {
			t.Error("both have it")
		}
		for _, lock := range []*Lock{first, second} {
			if lock != nil {
				if err := lock.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestNoSingleListingOfKeysIsBelieved: a key whose name arrives wrong, or not at all, still opens the repository.
func TestNoSingleListingOfKeysIsBelieved(t *testing.T) {
	memory, _ := small(t)
	for _, wrong := range []string{"", "keys/no-id", kindKey.name(Hash(nil))} {
		bucket := &mislisting{Memory: memory, prefix: kindKey.prefix(), wrong: wrong, at: 1}
		if _, err := Open(t.Context(), bucket, password, hasty()); err != nil || bucket.listed != 2 {
			t.Errorf("open with %q listed first: %v, %d listings", wrong, err, bucket.listed)
		}
		for at := range 3 {
			bucket := &mislisting{Memory: memory, prefix: kindKey.prefix(), wrong: wrong, at: at}
			if _, err := Open(t.Context(), bucket, "wrong", hasty()); errors.Is(
				err,
				ErrWrongPassword,
			) != (at < 2 || wrong != kindKey.name(Hash(nil))) {
				t.Errorf("open by a wrong password, with %q in listing %d: %v", wrong, at, err)
			}
		}
	}
}

// TestNoKey: no password is called wrong if there is no key to tell.
func TestNoKey(t *testing.T) {
	memory, _ := small(t)
	for _, name := range list(t, memory, "keys/") {
		if err := memory.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), memory, password, hasty()); err == nil || errors.Is(err, ErrWrongPassword) ||
		!strings.Contains(err.Error(), "no key in keys/") {
		t.Errorf("without keys: %v", err)
	}
}

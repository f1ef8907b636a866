package repository

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// newPassword is the new password when these tests change the password.
const newPassword = Secret("new password")

// mortal stands for one of our processes that has died: no process has its id, so its locks block nobody.
func mortal() Options {
	options := hasty()
	options.PID = 1 << 22
	return options
}

// life stands for a process that writes the same bytes whenever it does the same with the same seed. So it leaves few
// different states.
func life(seed uint64) Options {
	options := mortal()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	options.Random = &stream{from: rand.NewChaCha8(key)}
	clock := time.Now().Truncate(time.Hour).Add(time.Hour) // after everything that is there
	options.Now = func() time.Time { return clock }
	return options
}

// stream is a source of randomness for several goroutines.
type stream struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from.Read(p)
}

// openAny opens with either the old password or the new one.
func openAny(ctx context.Context, bucket storage.Bucket, options Options) (*Repository, error) {
	repo, err := Open(ctx, bucket, password, options)
	if errors.Is(err, ErrWrongPassword) {
		return Open(ctx, bucket, newPassword, options)
	}
	return repo, err
}

// deed is an action on a repository that can be stopped anywhere.
type deed struct {
	// do does it, including opening the repository; done again, it completes the first attempt.
	do func(context.Context, storage.Bucket, Options) error
	// spared says which of the volumes must restore whatever happens; nil means all.
	spared func(volume) bool
	// done, unless nil, checks the result once the deed is done in the end.
	done func(*testing.T, storage.Bucket)
}

func deeds() map[string]deed {
	fresh := volume{"shared": noise("shared", 20_000), "fresh": noise("fresh", 8_000)}
	isShared := func(v volume) bool { _, ok := v["shared"]; return ok }
	return map[string]deed{
		"backup": {
			do: func(ctx context.Context, bucket storage.Bucket, options Options) error {
				repo, err := openAny(ctx, bucket, options)
				if err != nil {
					return err
				}
				_, err = backUp(ctx, repo, fresh)
				return err
			},
			done: func(t *testing.T, bucket storage.Bucket) {
				snapshots, err := reopen(t, bucket).Snapshots(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sound(t, bucket, map[ID]volume{snapshots[len(snapshots)-1].ID: fresh})
			},
		},
		"prune": {
			do: func(ctx context.Context, bucket storage.Bucket, options Options) error {
				repo, err := openAny(ctx, bucket, options)
				if err != nil {
					return err
				}
				_, err = repo.Prune(ctx, PruneOptions{mergeFrom: 3})
				return err
			},
			done: func(t *testing.T, bucket storage.Bucket) {
				report, err := reopen(t, bucket).Prune(t.Context(), PruneOptions{DryRun: true, mergeFrom: 3})
				if err != nil || report.PacksRepacked+report.PacksMerged+report.PacksRemoved+report.PacksUnindexed > 0 || report.BytesUnused > 0 {
					t.Errorf("something is left to prune: %+v, %v", report, err)
				}
			},
		},
		"forget": {
			do: func(ctx context.Context, bucket storage.Bucket, options Options) error {
				return forgetOthers(ctx, bucket, options, isShared)
			},
			spared: isShared,
			done: func(t *testing.T, bucket storage.Bucket) {
				if left := list(t, bucket, "snapshots/"); len(left) != 1 {
					t.Errorf("repository snapshots: %v", left)
				}
			},
		},
		"key change": {
			do: changePassword,
			done: func(t *testing.T, bucket storage.Bucket) {
				_, err := Open(t.Context(), bucket, password, hasty())
				if !errors.Is(err, ErrWrongPassword) || len(list(t, bucket, "keys/")) != 1 {
					t.Errorf("the old password: %v", err)
				}
			},
		},
	}
}

// forgetOthers removes all repository snapshots except those whose volume is spared.
func forgetOthers(ctx context.Context, bucket storage.Bucket, options Options, spared func(volume) bool) (err error) {
	repo, err := openAny(ctx, bucket, options)
	if err != nil {
		return err
	}
	lock, err := repo.LockExclusive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	snapshots, err := repo.Snapshots(ctx)
	if err != nil {
		return err
	}
	for _, snapshot := range snapshots {
		v, err := readBack(ctx, repo, snapshot.ID)
		if err != nil {
			return err
		}
		if spared(v) {
			continue
		}
		if err := lock.RemoveSnapshots(snapshot.ID); err != nil {
			return err
		}
	}
	return nil
}

// changePassword adds the new password, opens the repository with it and removes all other keys.
func changePassword(ctx context.Context, bucket storage.Bucket, options Options) error {
	repo, err := openAny(ctx, bucket, options)
	if err != nil {
		return err
	}
	if _, err := repo.AddKey(ctx, newPassword); err != nil {
		return err
	}
	if repo, err = Open(ctx, bucket, newPassword, options); err != nil {
		return err
	}
	keys, err := repo.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !key.InUse {
			if err := repo.RemoveKey(ctx, key.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestStoppedAnywhere stops everything that writes at each of its operations, in every way that an operation can fail.
// After each stop the repository is undamaged, still has everything that was in it before, and doing the deed again
// succeeds. Our own verify checks every time, and restic checks every state of the bucket that a stop can leave.
//
// No stop can leave half an object in S3, or in a directory that flushes and then renames at once. If half an object is
// left all the same, restic may refuse the repository, until somebody removes it as docs/damage.md says: see mend.
func TestStoppedAnywhere(t *testing.T) {
	whole, volumes := worn(t)
	for name, d := range deeds() {
		t.Run(name, func(t *testing.T) {
			spared := maps.Clone(volumes)
			maps.DeleteFunc(spared, func(_ ID, v volume) bool { return d.spared != nil && !d.spared(v) })
			operations, stops := countOperations(t, d, whole), 0
			judged := states{seen: map[ID]bool{}, want: spared}
			for _, how := range []storagetest.How{storagetest.Before, storagetest.After, storagetest.Torn} {
				for at := 1; at <= operations; at++ {
					stops++
					bucket, torn := stopAt(t, d, whole, storagetest.Fault{At: at, How: how, Stop: true})
					if torn != "" {
						mend(t, bucket, torn, spared)
					}
					sound(t, bucket, spared)
					judged.judge(t, fmt.Sprintf("%s %d", how, at), bucket)
					if err := d.do(t.Context(), bucket, life(rerun)); err != nil {
						t.Fatalf("%s %d: again: %v", how, at, err)
					}
					sound(t, bucket, spared)
					d.done(t, bucket)
					judged.judge(t, fmt.Sprintf("%s %d, again", how, at), bucket)
					if left := list(t, bucket, "locks/"); len(left) > 0 {
						t.Errorf("%s %d: locks are left: %v", how, at, left)
					}
					if t.Failed() {
						t.Fatalf("after a fault %s operation %d of %d", how, at, operations)
					}
				}
			}
			t.Logf("%d operations, %d stops, %d states for restic to judge", operations, stops, len(judged.seen))
		})
	}
}

// rerun is the seed for doing it again; other seeds are small.
const rerun = 1 << 32

// states has restic look at each state of a bucket once.
type states struct {
	seen map[ID]bool
	want map[ID]volume
}

// judge has restic look at the current state of the bucket, in parallel, unless it has seen that state. Locks make no
// difference to its verdict.
func (j *states) judge(t *testing.T, when string, bucket storage.Bucket) {
	t.Helper()
	state := sha256.New()
	for _, name := range list(t, bucket, "") {
		if !strings.HasPrefix(name, kindLock.prefix()) {
			fmt.Fprintf(state, "%s %x\n", name, Hash(get(t, bucket, name)))
		}
	}
	id := ID(state.Sum(nil))
	if j.seen[id] {
		return
	}
	j.seen[id] = true
	frozen := copyOf(t, bucket)
	t.Run(when, func(t *testing.T) {
		t.Parallel()
		resticJudges(t, inDirectory(t, frozen), j.want)
	})
}

// tries is how often a deed is repeated to meet both outcomes where chance decides. With two keys, random ids decide
// whether the first or the second key tried is the right one, and so how many operations the deed takes. It may take
// far more tries to meet the longest way again.
const tries = 30

// countOperations is how many operations the deed takes at most.
func countOperations(t *testing.T, d deed, whole storage.Bucket) (most int) {
	t.Helper()
	for try := range tries {
		counting := storagetest.NewFaulty(copyOf(t, whole), storagetest.Fault{})
		if err := d.do(t.Context(), counting, life(uint64(try))); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(counting.Operations()))
	}
	return most
}

// stopAt does the deed with a fault on a copy of the bucket. It returns the copy, and the object of which half is
// there, if there is one. A pack does not count: no index names it yet, so it is prune's business, whole or not.
func stopAt(t *testing.T, d deed, whole storage.Bucket, fault storagetest.Fault) (bucket *storagetest.Memory, torn string) {
	t.Helper()
	var (
		faulty *storagetest.Faulty
		err    error
		left   error // what a deed that succeeded has reported
	)
	for try := 0; try < 20*tries && (faulty == nil || !faulty.Fired()); try++ {
		bucket = copyOf(t, whole)
		faulty = storagetest.NewFaulty(bucket, fault)
		options := life(uint64(try))
		options.lockLeft = func(told error) { left = told }
		left = nil
		err = d.do(t.Context(), faulty, options)
	}
	if !faulty.Fired() {
		t.Fatalf("%s %d: the planned fault never happened", fault.How, fault.At)
	}
	operation := faulty.Operations()[fault.At-1]
	if err == nil && (left == nil || operation.Verb != storagetest.Delete || !strings.HasPrefix(operation.Name, kindLock.prefix())) {
		t.Fatalf("%s %d: %s %s failed, and nobody noticed", fault.How, fault.At, operation.Verb, operation.Name)
	}
	if fault.How != storagetest.Torn || operation.Verb != storagetest.Put || strings.HasPrefix(operation.Name, kindData.prefix()) {
		return bucket, ""
	}
	return bucket, operation.Name
}

// mend removes half an object with the command for its kind, and with nothing else. Before that, verify names it, and
// everything can be restored beside it; only half an index object blocks that, and says so.
func mend(t *testing.T, bucket storage.Bucket, torn string, want map[ID]volume) {
	t.Helper()
	repo, err := openAny(t.Context(), bucket, hasty())
	if err != nil {
		t.Fatal(err)
	}
	report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
	if err != nil || !slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == torn }) {
		t.Errorf("torn %s is not found: %+v, %v", torn, report.Problems, err)
	}
	folder, name, _ := strings.Cut(torn, "/")
	for id, v := range want {
		got, err := readBack(t.Context(), repo, id)
		switch {
		case kind(folder) == kindIndex:
			if err == nil || !strings.Contains(err.Error(), torn) {
				t.Errorf("restore beside a torn %s: %v", torn, err)
			}
		case err != nil || !maps.Equal(v, got):
			t.Errorf("restore beside a torn %s: %d of %d files, %v", torn, len(got), len(v), err)
		}
	}
	switch kind(folder) {
	case kindLock:
		_, err = repo.Unlock(t.Context(), nil)
	case kindKey:
		var id ID
		if id, err = ParseID(name); err == nil {
			err = repo.RemoveKey(t.Context(), id)
		}
	default: // an index object or a repository snapshot
		_, err = repo.Repair(t.Context(), RepairOptions{ForgetDamaged: true})
	}
	if err != nil {
		t.Fatalf("mend a torn %s: %v", torn, err)
	}
	if _, err := bucket.Stat(t.Context(), torn); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("torn %s is left: %v", torn, err)
	}
}

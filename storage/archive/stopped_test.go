package archive_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// objects returns the contents of a bucket.
func objects(t *testing.T, bucket storage.Bucket) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		data, err := readObject(t.Context(), bucket, info.Name)
		found[info.Name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// fillBucket puts objects into a bucket.
func fillBucket(t *testing.T, bucket storage.Bucket, found map[string]string) {
	t.Helper()
	for name, data := range found {
		if err := bucket.Put(t.Context(), name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLostLockStopsBackup removes the lock of a backup that has nothing new to store, so that the backup would notice
// nothing before its end: there is no repository snapshot that relies on data which others may be removing.
func TestLostLockStopsBackup(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	builder{t: t, root: source}.file("file", []byte("unchanged"), 0o644)
	bed, bucket := memoryBed(t)
	bed.backup(t, source)
	before := objects(t, bucket)
	h := &hook{when: func(archive.Progress) bool { return true }, do: func() {
		for name := range objects(t, bucket) {
			if strings.HasPrefix(name, "locks/") {
				builder{t: t}.must(bucket.Delete(t.Context(), name))
			}
		}
	}}
	_, err := archive.Backup(t.Context(), bed.repo, archive.Source{Dir: source, Name: claim, Host: "demo/web"}, h)
	if !errors.Is(err, repository.ErrLockLost) || !h.done {
		t.Errorf("%v, want ErrLockLost; the lock was removed: %v", err, h.done)
	}
	if diff := cmp.Diff(before, objects(t, bucket)); diff != "" {
		t.Errorf("a backup without a lock changed the repository (-before +after):\n%.1000s", diff)
	}
}

// stoppable is a backup that can be stopped anywhere: the second one of a volume.
type stoppable struct {
	source   string
	whole    map[string]string // the bucket before the backup
	first    repository.Snapshot
	old, now map[string]entry // the volume at the first backup, and now
}

func newStoppable(t *testing.T) stoppable {
	t.Helper()
	s := stoppable{source: t.TempDir()}
	b := builder{t: t, root: s.source}
	b.dir("sub", 0o755)
	b.file("kept", filler(20_000, 1), 0o644)
	b.file("sub/gone", filler(10_000, 3), 0o644)
	b.file("sub/other", []byte("other"), 0o640)
	bed, bucket := memoryBed(t)
	bed.backup(t, s.source)
	s.old, s.first, s.whole = describe(t, s.source), bed.latest(t), objects(t, bucket)
	b.must(os.Remove(b.path("sub/gone")))
	b.file("new", filler(30_000, 5), 0o600)
	s.now = describe(t, s.source)
	return s
}

// open opens the repository as a process that is dead afterwards: its locks block nobody.
func (s stoppable) open(ctx context.Context, bucket storage.Bucket) (bed, error) {
	repo, err := repository.Open(ctx, bucket, password, repository.Options{PID: 1 << 22})
	return bed{repo: repo}, err
}

// run does the backup, including opening the repository.
func (s stoppable) run(ctx context.Context, bucket storage.Bucket) (archive.Result, error) {
	b, err := s.open(ctx, bucket)
	if err != nil {
		return archive.Result{}, err
	}
	return archive.Backup(ctx, b.repo, archive.Source{Dir: s.source, Name: claim, Host: "demo/web"}, nil)
}

// stop does the backup with a fault, and returns the bucket and the operation that failed. The number of operations
// varies by one with how a backup shares out its work, so stop may take several tries to meet the last ones.
func (s stoppable) stop(t *testing.T, fault storagetest.Fault) (*storagetest.Memory, storagetest.Operation) {
	t.Helper()
	for range 50 {
		bucket := storagetest.NewMemory()
		fillBucket(t, bucket, s.whole)
		faulty := storagetest.NewFaulty(bucket, fault)
		result, err := s.run(t.Context(), faulty)
		if !faulty.Fired() {
			continue
		}
		failed := faulty.Operations()[fault.At-1]
		// Once everything is saved, a lock that stays is no failure, but is reported.
		done := failed.Verb == storagetest.Delete && strings.HasPrefix(failed.Name, "locks/") && len(result.Warnings) > 0
		if err == nil && !done {
			t.Errorf("%s %d: nobody noticed", fault.How, fault.At)
		}
		return bucket, failed
	}
	t.Fatalf("%s %d: the planned fault never happened", fault.How, fault.At)
	return nil, storagetest.Operation{}
}

// faults returns the faults for each operation. A backup may take one operation more than were counted; the two last
// ones, writing the repository snapshot and removing the lock, are met whatever their number.
func (s stoppable) faults(how storagetest.How, operations int) []storagetest.Fault {
	var faults []storagetest.Fault
	for at := range operations {
		faults = append(faults, storagetest.Fault{At: at + 1, How: how, Stop: true})
	}
	for verb, folder := range map[storagetest.Verb]string{storagetest.Put: "snapshots/", storagetest.Delete: "locks/"} {
		faults = append(faults, storagetest.Fault{At: 1, How: how, Stop: true, Match: func(op storagetest.Operation) bool {
			return op.Verb == verb && strings.HasPrefix(op.Name, folder)
		}})
	}
	return faults
}

// TestBackupStoppedAnywhere stops a backup at each of its operations, in every way that an operation can fail: the
// repository is undamaged, the earlier backup is unchanged, and another backup succeeds. Half an object, which no
// Bucket may leave, is removed first: see mend.
func TestBackupStoppedAnywhere(t *testing.T) {
	t.Parallel()
	s := newStoppable(t)
	counting := storagetest.NewMemory()
	fillBucket(t, counting, s.whole)
	faulty := storagetest.NewFaulty(counting, storagetest.Fault{})
	if _, err := s.run(t.Context(), faulty); err != nil {
		t.Fatal(err)
	}
	operations := len(faulty.Operations())
	t.Logf("%d operations", operations)
	for _, how := range []storagetest.How{storagetest.Before, storagetest.After, storagetest.Torn} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			for _, fault := range s.faults(how, operations) {
				bucket, operation := s.stop(t, fault)
				if how == storagetest.Torn && operation.Verb == storagetest.Put && !strings.HasPrefix(operation.Name, "data/") {
					s.mend(t, bucket, operation.Name)
				}
				s.judge(t, bucket, storagetest.Changes(operation))
				if t.Failed() {
					t.Fatalf("after a fault %s operation %d of %d, %s %s", how, fault.At, operations, operation.Verb, operation.Name)
				}
			}
		})
	}
}

// mend removes half an object, as docs/damage.md says; no Bucket leaves one. Before that, a check names the half
// object, and the earlier backup is unchanged; only half an index object blocks that backup, and says so. Half a pack
// is in no index, so prune deals with it.
func (s stoppable) mend(t *testing.T, bucket storage.Bucket, torn string) {
	t.Helper()
	b := must(s.open(t.Context(), bucket))(t)
	report, err := b.repo.Check(t.Context(), repository.CheckOptions{ReadData: 1})
	if err != nil || !slices.ContainsFunc(report.Problems, func(p repository.Problem) bool { return p.Object == torn }) {
		t.Errorf("torn %s is not found: %+v, %v", torn, report.Problems, err)
	}
	target := t.TempDir()
	_, err = archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: s.first, Name: claim, Dir: target}, nil)
	if !strings.HasPrefix(torn, "index/") {
		builder{t: t}.must(err)
		compare(t, s.old, describe(t, target))
	} else if err == nil || !strings.Contains(err.Error(), torn) {
		t.Errorf("restore beside a torn %s: %v", torn, err)
	}
	if strings.HasPrefix(torn, "locks/") {
		_, err = b.repo.Unlock(t.Context(), nil)
	} else {
		_, err = b.repo.Repair(t.Context(), repository.RepairOptions{ForgetDamaged: true})
	}
	builder{t: t}.must(err)
	if _, err := bucket.Stat(t.Context(), torn); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("torn %s is left: %v", torn, err)
	}
}

// judge checks what a stop has left. It asks restic only about stops at changes to the bucket: after others, the bucket
// is as it was before.
func (s stoppable) judge(t *testing.T, bucket *storagetest.Memory, changed bool) {
	t.Helper()
	if changed {
		dir := t.TempDir()
		builder{t: t, root: dir}.dir("locks", 0o700) // which restic expects, also where none is
		fillBucket(t, must(local.Open(local.Config{Dir: dir}))(t), objects(t, bucket))
		restic(t, dir, "", "--no-lock", "check", "--read-data")
	}
	b := must(s.open(t.Context(), bucket))(t)
	target := t.TempDir()
	if _, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: s.first, Name: claim, Dir: target}, nil); err != nil {
		t.Error(err)
	}
	compare(t, s.old, describe(t, target))
	if _, err := archive.Backup(t.Context(), b.repo, archive.Source{Dir: s.source, Name: claim, Host: "demo/web"}, nil); err != nil {
		t.Errorf("another backup: %v", err)
	}
	again := t.TempDir()
	b.restore(t, again)
	compare(t, s.now, describe(t, again))
	for name := range objects(t, bucket) {
		if strings.HasPrefix(name, "locks/") {
			t.Errorf("%s is left", name)
		}
	}
}

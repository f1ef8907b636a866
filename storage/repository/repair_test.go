package repository

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// repaired repairs, and expects the given report.
func repaired(t *testing.T, bucket storage.Bucket, options RepairOptions, want RepairReport) {
	t.Helper()
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	before := list(t, bucket, "")
	planned, err := repo.Repair(t.Context(), RepairOptions{DryRun: true})
	if err != nil || !slices.Equal(before, list(t, bucket, "")) {
		t.Errorf("a dry run changed the bucket, or failed: %v", err)
	}
	got, err := repo.Repair(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	got.SnapshotsDamaged = slices.Clip(got.SnapshotsDamaged)
	if !sameRepair(got, want) {
		t.Errorf("repaired: %+v, want %+v", got, want)
	}
	planned.DryRun, planned.Forgotten = false, got.Forgotten
	if !sameRepair(planned, got) {
		t.Errorf("planned: %+v, done: %+v", planned, got)
	}
	if again, err := repo.Repair(t.Context(), RepairOptions{}); err != nil ||
		again.IndexesDamaged+again.PacksFound+again.PacksDamaged+again.PacksMissing+again.BlobsLost > 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func sameRepair(a, b RepairReport) bool {
	same := slices.Equal(a.SnapshotsDamaged, b.SnapshotsDamaged)
	a.SnapshotsDamaged, b.SnapshotsDamaged = nil, nil
	return same && a.IndexesDamaged == b.IndexesDamaged && a.PacksFound == b.PacksFound && a.PacksDamaged == b.PacksDamaged &&
		a.PacksMissing == b.PacksMissing && a.BlobsSaved == b.BlobsSaved && a.BlobsLost == b.BlobsLost && a.Forgotten == b.Forgotten
}

// packWith is the pack with the beginning of a file.
func packWith(t *testing.T, bucket storage.Bucket, content string) (name string, at packfile.Location) {
	t.Helper()
	repo := reopen(t, bucket)
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, err := repo.Locate(DataBlob, Hash([]byte(content[:2048])))
	if err != nil {
		t.Fatal(err)
	}
	return kindData.name(at.Pack), at
}

// TestRepairOfTheIndex loses or damages index objects, which only repeat what the packs say: nothing is lost.
func TestRepairOfTheIndex(t *testing.T) {
	whole, volumes := small(t)
	for _, name := range list(t, whole, "index/") {
		bucket := copyOf(t, whole)
		put(t, bucket, name, flip(get(t, bucket, name), 20))
		if report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) == 0 {
			t.Errorf("not damaged: %+v, %v", report, err)
		}
		repaired(t, bucket, RepairOptions{}, RepairReport{IndexesDamaged: 1, PacksFound: 3})
		sound(t, bucket, volumes)
		resticJudges(t, inDirectory(t, bucket), volumes)
	}
	bucket := copyOf(t, whole)
	for _, name := range list(t, whole, "index/") {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	repaired(t, bucket, RepairOptions{}, RepairReport{PacksFound: 6})
	sound(t, bucket, volumes)

	// An index that calls data trees, and one that contradicts another about packs.
	repo := reopen(t, whole)
	for _, keep := range []bool{false, true} {
		bucket := copyOf(t, whole)
		repo.bucket = bucket
		name := list(t, bucket, "index/")[0]
		id, _ := kindIndex.parseName(name)
		var object packfile.IndexObject
		err := repo.loadObject(t.Context(), kindIndex, id, &object)
		if err != nil {
			t.Fatal(err)
		}
		for i := range object.Packs {
			blob := &object.Packs[i].Blobs[0]
			blob.Type = map[BlobType]BlobType{DataBlob: TreeBlob, TreeBlob: DataBlob}[blob.Type]
		}
		if _, _, err := repo.saveObject(t.Context(), kindIndex, object); err != nil {
			t.Fatal(err)
		}
		if !keep {
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		repaired(t, bucket, RepairOptions{}, RepairReport{})
		sound(t, bucket, volumes)
	}
}

// TestRepairOfPacks damages a pack: its good blobs are kept, and the next backup brings the others back, also for older
// repository snapshots.
func TestRepairOfPacks(t *testing.T) {
	whole, volumes := small(t)
	var v volume
	for _, v = range volumes {
		if v["log"] != "" {
			break
		}
	}
	name, at := packWith(t, whole, v["log"])
	data := get(t, whole, name)
	blobs := 0
	repo := reopen(t, whole)
	err := repo.eachIndex(t.Context(), func(_ ID, object packfile.IndexObject, err error) error {
		for _, pack := range object.Packs {
			if kindData.name(pack.ID) == name {
				blobs = len(pack.Blobs)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		damaged []byte // nil: gone
		want    RepairReport
	}{
		"a flipped bit":             {flip(data, int(at.Offset)+40), RepairReport{PacksDamaged: 1, BlobsSaved: blobs - 1, BlobsLost: 1}},
		"a flipped bit at its end":  {flip(data, len(data)-10), RepairReport{PacksDamaged: 1, BlobsSaved: blobs}},
		"something behind it":       {append(slices.Clone(data), 0), RepairReport{PacksDamaged: 1, BlobsSaved: blobs}},
		"cut off at its end":        {data[:len(data)-3], RepairReport{PacksDamaged: 1, BlobsSaved: blobs}},
		"nothing but its beginning": {data[:10], RepairReport{PacksDamaged: 1, BlobsLost: blobs}},
		"gone":                      {nil, RepairReport{PacksMissing: 1, BlobsLost: blobs}},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			bucket := copyOf(t, whole)
			if tt.damaged == nil {
				if err := bucket.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, bucket, name, tt.damaged)
			}
			repaired(t, bucket, RepairOptions{}, tt.want)
			report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{ReadData: 1})
			if err != nil || (len(report.Problems) > 0) != (tt.want.BlobsLost > 0) {
				t.Errorf("after the repair: %+v, %v", report, err)
			}
			repo, err := Open(t.Context(), bucket, password, hasty())
			if err != nil {
				t.Fatal(err)
			}
			all := map[ID]volume{}
			for id, v := range volumes {
				all[id] = v
				all[mustBackUp(t, repo, v)] = v
			}
			sound(t, bucket, all)
			resticJudges(t, inDirectory(t, bucket), all)
		})
	}
}

func TestRepairOfRepositorySnapshots(t *testing.T) {
	bucket, volumes := small(t)
	var damaged ID
	for id := range volumes {
		damaged = id
	}
	delete(volumes, damaged)
	name := kindSnapshot.name(damaged)
	put(t, bucket, name, flip(get(t, bucket, name), 20))
	want := RepairReport{SnapshotsDamaged: []ID{damaged}}
	repaired(t, bucket, RepairOptions{}, want)
	if _, err := reopen(t, bucket).Prune(t.Context(), PruneOptions{}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("prune: %v, want an error that names %s", err, name)
	}
	want.Forgotten = true
	repaired(t, bucket, RepairOptions{ForgetDamaged: true}, want)
	sound(t, bucket, volumes)
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Prune(t.Context(), PruneOptions{}); err != nil {
		t.Error(err)
	}
	sound(t, bucket, volumes)
}

// silent is a Bucket whose listings leave one object out.
type silent struct {
	*storagetest.Memory
	about string
}

func (s *silent) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	return s.Memory.List(ctx, prefix, func(info storage.Info) error {
		if info.Name == s.about {
			return nil
		}
		return fn(info)
	})
}

// TestRepairOfWhatIsWhole changes nothing, even if bits change on their way, or a listing leaves something out.
func TestRepairOfWhatIsWhole(t *testing.T) {
	bucket, _ := small(t)
	before := list(t, bucket, "")
	for what, line := range map[string]storage.Bucket{
		"a good line":         bucket,
		"a noisy line":        &noisy{Memory: bucket, folder: "data/", seen: map[string]bool{}},
		"an index with noise": &noisy{Memory: bucket, folder: "index/", seen: map[string]bool{}},
		"a bad listing":       &silent{Memory: bucket, about: list(t, bucket, "data/")[0]},
	} {
		repaired(t, line, RepairOptions{ForgetDamaged: true}, RepairReport{})
		if !slices.Equal(before, list(t, bucket, "")) {
			t.Errorf("%s: something has changed", what)
		}
	}
}

// unreadable is a Bucket on a medium that fails whenever one object is read.
type unreadable struct {
	*storagetest.Memory
	about string
}

func (u *unreadable) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if name == u.about {
		return nil, errors.New("input/output error")
	}
	return u.Memory.Get(ctx, name, offset, length)
}

// TestRepairOfWhatCannotBeRead: repair gives up, because an object that cannot be read may be good.
func TestRepairOfWhatCannotBeRead(t *testing.T) {
	bucket, _ := small(t)
	before := list(t, bucket, "")
	for _, folder := range []string{"data/", "index/", "snapshots/"} {
		name := list(t, bucket, folder)[0]
		repo, err := Open(t.Context(), &unreadable{Memory: bucket, about: name}, password, hasty())
		if err != nil {
			t.Fatal(err)
		}
		if report, err := repo.Repair(t.Context(), RepairOptions{ForgetDamaged: true}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v, %v; want an error that names %s", report, err, name)
		}
		if !slices.Equal(before, list(t, bucket, "")) {
			t.Errorf("%s: something has changed", name)
		}
	}
}

// TestRepairStoppedAnywhere stops a repair at each of its changes: another repair completes it, and nothing is lost.
func TestRepairStoppedAnywhere(t *testing.T) {
	whole, volumes := small(t)
	for _, v := range volumes {
		name, _ := packWith(t, whole, v["data"])
		put(t, whole, name, flip(get(t, whole, name), len(get(t, whole, name))-10)) // in its table of contents
	}
	index := list(t, whole, "index/")[0]
	put(t, whole, index, flip(get(t, whole, index), 20))
	var left error // what a repair that succeeded has reported
	repair := func(ctx context.Context, bucket storage.Bucket) error {
		options := mortal()
		left = nil
		options.lockLeft = func(told error) { left = told }
		repo, err := Open(ctx, bucket, password, options)
		if err != nil {
			return err
		}
		_, err = repo.Repair(ctx, RepairOptions{})
		return err
	}
	counting := storagetest.NewFaulty(copyOf(t, whole), storagetest.Fault{})
	if err := repair(t.Context(), counting); err != nil {
		t.Fatal(err)
	}
	operations, tried, fired := len(counting.Operations()), 0, 0
	for _, how := range []storagetest.How{storagetest.Before, storagetest.After, storagetest.Torn} {
		for _, stop := range []bool{true, false} { // false: something fails once, which is no damage
			for at := 1; at <= operations; at++ {
				bucket := copyOf(t, whole)
				faulty := storagetest.NewFaulty(bucket, storagetest.Fault{At: at, How: how, Stop: stop, Match: func(op storagetest.Operation) bool {
					return how != storagetest.Torn || op.Verb != storagetest.Put // no Bucket does that
				}})
				err := repair(t.Context(), faulty)
				if stop && err == nil && faulty.Fired() {
					if failed := faulty.Operations()[at-1]; left == nil || failed.Verb != storagetest.Delete || !strings.HasPrefix(failed.Name, "locks/") {
						t.Errorf("%s %d: nobody noticed that %v failed", how, at, failed)
					}
				}
				tried++
				if faulty.Fired() {
					fired++
				}
				if err := repair(t.Context(), bucket); err != nil {
					t.Errorf("%s %d: again: %v", how, at, err)
				}
				sound(t, bucket, volumes)
			}
		}
	}
	t.Logf("%d operations, %d faults of %d", operations, fired, tried)
	if fired < 4*operations { // all except torn writes
		t.Errorf("of %d planned faults only %d happened", tried, fired)
	}
}

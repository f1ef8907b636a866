package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// TestPruneOnCutListings: a prune loses nothing on a server that ends every listing early, and calls it complete each
// time.
func TestPruneOnCutListings(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 5} {
		s, bucket := newOdd(t)
		j := newJob(t, bucket, "odd")
		if err := j.init(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			j.write("new", noise(100_000))
			j.write(fmt.Sprintf("file-%d", i), bytes.Repeat([]byte{byte(i)}, 50_000))
			if err := steps(t.Context(), j.open, j.backup); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			s.Set(odds3.Odds{PageSize: size, SaysComplete: true})
			if err := steps(t.Context(), j.open, j.prune); err != nil {
				t.Errorf("prune with listings of %d: %v", size, err)
			}
			s.Set(odds3.Odds{})
			if err := steps(t.Context(), j.open, j.restore); err != nil {
				t.Errorf("restore after it: %v", err)
			}
		}
	}
}

// TestCutListingsHideNothing: a server that ends every listing early, and calls it complete each time, hides neither a
// repository snapshot nor a lock.
func TestCutListingsHideNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2} {
		s, bucket := newOdd(t)
		j := newJob(t, bucket, "odd")
		if err := j.init(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			j.write(fmt.Sprintf("file-%d", i), noise(1000))
			if err := steps(t.Context(), j.open, j.backup); err != nil {
				t.Fatal(err)
			}
		}
		living, err := repository.Open(t.Context(), j.bucket, repoPassword, repository.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var locks []*repository.Lock
		for range 3 {
			lock, err := living.Lock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			locks = append(locks, lock)
		}
		s.Set(odds3.Odds{PageSize: size, SaysComplete: true})
		if err := steps(t.Context(), j.open, j.restore); err != nil { // restore counts them
			t.Errorf("restore with listings of %d: %v", size, err)
		}
		if holders, err := j.repo.Locks(t.Context()); err != nil || len(holders) != len(locks) {
			t.Errorf("%d of %d locks seen with listings of %d: %v", len(holders), len(locks), size, err)
		}
		for _, lock := range locks {
			if err := lock.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestBackupsDoNotRelyOnArchivedPacks: data that can no longer be read is stored again, and the new recovery point can
// be restored; errors about data that only the archive has say so.
func TestBackupsDoNotRelyOnArchivedPacks(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	j := newJob(t, bucket, "odd")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	packs, err := listNames(t.Context(), j.bucket, "data/")
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	old := j.expected
	j.expected = map[string]map[string]string{}
	s.Set(odds3.Odds{Archived: func(name string) bool { return slices.Contains(packs, strings.TrimPrefix(name, "odd/")) }})
	if err := steps(t.Context(), j.open, j.backup); err != nil {
		t.Fatal(err)
	}
	if err := steps(t.Context(), j.open, j.restoreExpected); err != nil {
		t.Errorf("restore of what was saved after packs were archived: %v", err)
	}
	if _, err := j.repo.Repair(t.Context(), repository.RepairOptions{}); !errors.Is(err, storage.ErrArchived) {
		t.Errorf("repair takes archived packs for damaged ones: %v", err)
	}
	// Of two copies of a piece, prune would not know which can be read.
	before, err := listNames(t.Context(), j.bucket, "data/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.repo.Prune(t.Context(), repository.PruneOptions{}); !errors.Is(err, storage.ErrArchived) {
		t.Errorf("prune beside archived packs: %v", err)
	}
	if after, err := listNames(t.Context(), j.bucket, "data/"); err != nil || !slices.Equal(after, before) {
		t.Errorf("prune has changed packs %q to %q: %v", before, after, err)
	}
	s.Set(odds3.Odds{})
	maps.Copy(j.expected, old)
	if err := steps(t.Context(), j.open, j.restore); err != nil {
		t.Errorf("once they are back: %v", err)
	}
}

// TestVerifyNamesArchivedPacks: even without reading content, verify calls data that only the archive has damaged, for
// as long as it is there.
func TestVerifyNamesArchivedPacks(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	j := newJob(t, bucket, "odd")
	if err := steps(t.Context(), j.init, j.backup); err != nil {
		t.Fatal(err)
	}
	var content storage.Info // the pack with the files: the largest
	err := j.bucket.List(t.Context(), "data/", func(info storage.Info) error {
		if info.Size > content.Size {
			content = info
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		odds    odds3.Odds
		damaged int
	}{
		{odds3.Odds{}, 0},
		{odds3.Odds{Archived: func(name string) bool { return strings.TrimPrefix(name, "odd/") == content.Name }}, 1},
	} {
		s.Set(test.odds)
		if err := j.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := j.repo.Check(t.Context(), repository.CheckOptions{})
		if err != nil || len(report.Damaged) != test.damaged || len(report.Problems) != test.damaged {
			t.Fatalf("%+v, %v; want %d damaged", report, err, test.damaged)
		}
		for _, problem := range report.Problems {
			if problem.Object != content.Name || !strings.Contains(problem.Reason, "archive class") {
				t.Errorf("problem %+v", problem)
			}
		}
	}
	// Storing the data once more makes everything whole again.
	if err := steps(t.Context(), j.open, j.backup, j.open); err != nil {
		t.Fatal(err)
	}
	report, err := j.repo.Check(t.Context(), repository.CheckOptions{ReadData: 1})
	if err != nil || len(report.Problems) != 0 || report.Spare != 1 {
		t.Errorf("after a backup: %+v, %v", report, err)
	}
}

// restoreExpected restores only repository snapshots that are still expected: their times may be equal, and so give no
// order.
func (j *job) restoreExpected(ctx context.Context) error {
	snapshots, err := j.repo.Snapshots(ctx)
	if err != nil {
		return err
	}
	found := 0
	for _, snapshot := range snapshots {
		want := j.expected[snapshot.ID.String()]
		if want == nil {
			continue
		}
		found++
		dir := j.t.TempDir()
		if _, err := archive.Restore(ctx, j.repo, archive.Target{Snapshot: snapshot, Name: claim, Dir: dir}, nil); err != nil {
			return err
		}
		if !cmp.Equal(want, j.tree(dir)) {
			j.t.Errorf("what %s brings back is not what was saved", snapshot.ID.Short())
		}
	}
	if found != len(j.expected) {
		j.t.Errorf("%d of %d repository snapshots found", found, len(j.expected))
	}
	return nil
}

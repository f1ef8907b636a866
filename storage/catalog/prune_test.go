package catalog

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// hiding is a Bucket whose listings never show one of its objects.
type hiding struct {
	*storagetest.Memory
	name string
}

func (h *hiding) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	return h.Memory.List(ctx, prefix, func(info storage.Info) error {
		if strings.HasSuffix(info.Name, h.name) {
			return nil
		}
		return fn(info)
	})
}

// crowded has three recovery points, and waste from a fourth.
func crowded(t *testing.T) (w world, kept Record) {
	t.Helper()
	w = newWorld(t)
	w.saveFiles(t, "20261121T081200Z-0001", files{"one": strings.Repeat("of the first", 1000)})
	kept = w.saveFiles(t, "20261121T091200Z-0002", files{"two": strings.Repeat("of the second", 1000)})
	gone := w.saveFiles(t, "20261121T101200Z-0003", files{"three": strings.Repeat("of the third", 1000)})
	w.saveFiles(t, "20261121T111200Z-0004", files{"four": strings.Repeat("of the fourth", 1000)})
	if _, err := w.Forget(t.Context(), string(gone.ID)); err != nil {
		t.Fatal(err)
	}
	return w, kept
}

// reopened is the catalog in a bucket, opened by another process.
func reopened(t *testing.T, bucket storage.Bucket) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), bucket, "demo", "web", Password("root", "demo", "web"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPruneComparesListingsWithRecords: a volume that a record names and that no listing shows is an error, and not
// waste.
func TestPruneComparesListingsWithRecords(t *testing.T) {
	w, kept := crowded(t)
	c := reopened(t, &hiding{w.bucket, kept.Volumes[0].RepositorySnapshot})
	before := names(t, w.bucket, "demo/web/data")
	for _, dry := range []bool{true, false} {
		if _, err := c.Prune(t.Context(), repository.PruneOptions{DryRun: dry}); !errors.Is(err, errNotListed) ||
			!strings.Contains(err.Error(), string(kept.ID)) {
			t.Errorf("prune: %v, want errNotListed and %s", err, kept.ID)
		}
	}
	if after := names(t, w.bucket, "demo/web/data"); !maps.Equal(before, after) {
		t.Errorf("packs were %v and are %v", before, after)
	}
	v, err := c.Verify(t.Context(), "", repository.CheckOptions{})
	if err != nil || v.OK() || len(v.Points) != 3 || len(v.Points[1].Problems) != 1 ||
		!strings.Contains(v.Points[1].Problems[0], "no listing") {
		t.Errorf("verify: %+v, %v", v, err)
	}
	mustPrune(t, w)
}

// mustPrune removes the waste of the forgotten recovery point, and nothing else.
func mustPrune(t *testing.T, w world) {
	t.Helper()
	c := reopened(t, w.bucket)
	report, err := c.Prune(t.Context(), repository.PruneOptions{})
	if err != nil || report.PacksRemoved+report.PacksRepacked == 0 {
		t.Errorf("prune of the whole: %+v, %v", report, err)
	}
	if v, err := c.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1}); err != nil || !v.OK() || len(v.Points) != 3 {
		t.Errorf("after it: %+v, %v", v, err)
	}
}

// TestPruneMissesWhatRecordsName: a missing volume keeps everything from being pruned until its recovery point is given
// up.
func TestPruneMissesWhatRecordsName(t *testing.T) {
	w, kept := crowded(t)
	if err := w.bucket.Delete(t.Context(), "demo/web/snapshots/"+kept.Volumes[0].RepositorySnapshot); err != nil {
		t.Fatal(err)
	}
	before := names(t, w.bucket, "demo/web/data")
	c := reopened(t, w.bucket)
	_, err := c.Prune(t.Context(), repository.PruneOptions{})
	if err == nil || !strings.Contains(err.Error(), "stsbackup forget demo/web@"+string(kept.ID)) ||
		!maps.Equal(before, names(t, w.bucket, "demo/web/data")) {
		t.Errorf("prune: %v, want an error that says what to forget", err)
	}
	if _, err := c.Forget(t.Context(), string(kept.ID)); err != nil {
		t.Fatal(err)
	}
	if report, err := c.Prune(t.Context(), repository.PruneOptions{}); err != nil || report.PacksRemoved+report.PacksRepacked == 0 {
		t.Errorf("after it was forgotten: %+v, %v", report, err)
	}
}

// TestPruneKeepsRecordsThatAreNotListed: while a recovery point has volumes, the data that its record needs stays,
// although no listing shows the record.
func TestPruneKeepsRecordsThatAreNotListed(t *testing.T) {
	w, kept := crowded(t)
	var record string
	snapshots, err := w.Repository().Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snapshots {
		if pointOf(s) == kept.ID && s.HasTag(TagRecord) {
			record = s.ID.String()
		}
	}
	c := reopened(t, &hiding{w.bucket, record})
	if left, err := c.Leftovers(t.Context()); err != nil || !slices.Equal(left, []RecoveryPointID{kept.ID}) {
		t.Fatalf("leftovers: %v, %v", left, err)
	}
	for range 2 {
		if _, err := c.Prune(t.Context(), repository.PruneOptions{}); err != nil {
			t.Error(err)
		}
		v, err := reopened(t, w.bucket).Verify(t.Context(), "", repository.CheckOptions{ReadData: 1})
		if err != nil || !v.OK() ||
			len(v.Points) != 3 {
			t.Errorf("once the record is listed again: %+v, %v", v, err)
		}
	}
	// Once forgotten, it is waste like any other.
	again := reopened(t, w.bucket)
	if _, err := again.Forget(t.Context(), string(kept.ID)); err != nil {
		t.Fatal(err)
	}
	if report, err := again.Prune(t.Context(), repository.PruneOptions{}); err != nil || report.PacksRemoved+report.PacksRepacked == 0 {
		t.Errorf("once it is forgotten: %+v, %v", report, err)
	}
}

// TestPruneBesideAnInterruptedBackup: leftovers of an interrupted backup have no record, and keep nothing from being
// pruned.
func TestPruneBesideAnInterruptedBackup(t *testing.T) {
	w := newWorld(t)
	r := w.record(t, "0001", started, StateComplete)
	w.commit(t, r)
	w.saveVolume(t, "www-web-0", "20261121T091200Z-0002", started.Add(time.Hour)) // of an interrupted backup
	if _, err := w.Prune(t.Context(), repository.PruneOptions{}); err != nil {
		t.Error(err)
	}
	if v, err := w.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1}); err != nil || !v.OK() || len(v.Points) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

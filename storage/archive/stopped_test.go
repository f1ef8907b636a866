package archive_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// objects are the contents of a bucket.
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

// TestLostLockStopsBackup removes the lock of a backup that has nothing new to store, so that nothing it does before the
// end would notice: there is no repository snapshot of which others may be removing what it relies on.
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

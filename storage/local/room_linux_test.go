package local

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestNoRoomToWrite has a disk of 2 MiB that is full in the middle of a file: the new object is not there, the object
// that it should replace is unchanged, and after a prune there is room for a backup that fits.
func TestNoRoomToWrite(t *testing.T) {
	dir, source := t.TempDir(), t.TempDir()
	if err := unix.Mount("stsbackup-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700,size=2m"); err != nil {
		t.Fatalf("this test needs root's rights to mount a file system in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	bucket := open(t, Config{Dir: dir})
	repo, err := repository.Init(t.Context(), bucket, "secret", repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // it never fails
	clean := func(err error) {
		t.Helper()
		if !errors.Is(err, storage.ErrNoSpace) {
			t.Errorf("%v, want ErrNoSpace", err)
		}
		if temporary, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(temporary) > 0 {
			t.Errorf("temporary files %v, %v", temporary, err)
		}
	}
	before, err := bucket.Stat(t.Context(), "config")
	if err != nil {
		t.Fatal(err)
	}
	clean(bucket.Put(t.Context(), "config", content))
	if after, err := bucket.Stat(t.Context(), "config"); err != nil || after != before {
		t.Errorf("what was there before: %+v, %v", after, err)
	}
	backup := func(size int) error {
		if err := os.WriteFile(filepath.Join(source, "file"), content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := archive.Backup(t.Context(), repo, archive.Source{Dir: source, Name: "www-web-0", Host: "demo/web"}, nil)
		return err
	}
	clean(backup(len(content)))
	if _, err := repo.Prune(t.Context(), repository.PruneOptions{}); err != nil { // removes the packs that still fitted
		t.Errorf("prune: %v", err)
	}
	if err := backup(1 << 20); err != nil {
		t.Errorf("a backup that fits: %v", err)
	}
	report, err := repo.Check(t.Context(), repository.CheckOptions{ReadData: 1})
	if err != nil || len(report.Problems) > 0 || report.Snapshots != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestFullDisk fills the disk at each of a backup's objects in turn: when its temporary file is flushed, as on disks
// that look for room late. That must leave neither the file nor half an object, and the next backup succeeds.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir, source := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	bucket := open(t, Config{Dir: dir})
	repo, err := repository.Init(t.Context(), bucket, "secret", repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backup := func() (archive.Result, error) {
		return archive.Backup(t.Context(), repo, archive.Source{Dir: source, Name: "www-web-0", Host: "demo/web"}, nil)
	}
	writes := 0
	for full := false; ; writes++ {
		left := writes
		bucket.sync = func(file *os.File) error {
			if left--; left < 0 {
				full = true
				return &fs.PathError{Op: "sync", Path: file.Name(), Err: syscall.ENOSPC}
			}
			return file.Sync()
		}
		full = false
		result, err := backup()
		if !full {
			if err != nil {
				t.Errorf("with a disk that is large enough: %v", err)
			}
			break
		}
		// When the lock is removed, everything is saved: a lock that stays is a warning.
		lockStays := err == nil && result.RepositorySnapshot != "" && len(result.Warnings) == 1 &&
			strings.Contains(result.Warnings[0], "free some space")
		if !lockStays && (!errors.Is(err, storage.ErrNoSpace) || !strings.Contains(err.Error(), "free some space")) {
			t.Errorf("full at write %d: %v", writes+1, err)
		}
		if temporary, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(temporary) > 0 {
			t.Errorf("full at write %d: temporary files %v, %v", writes+1, temporary, err)
		}
		report, err := repo.Check(t.Context(), repository.CheckOptions{ReadData: 1})
		if err != nil || len(report.Problems) > 0 {
			t.Errorf("full at write %d: %v, %v", writes+1, report.Problems, err)
		}
		// Another content, so that nothing of it is stored already.
		if err := os.WriteFile(filepath.Join(source, "file"), []byte(strings.Repeat("content", writes+2)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if writes < 4 { // lock, packs, index, repository snapshot
		t.Errorf("the disk was full at %d writes only", writes)
	}
}

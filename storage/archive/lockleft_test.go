package archive_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// TestBackupIsDoneThoughItsLockStays: the data is saved, somebody is told, and nothing blocks the next backup.
func TestBackupIsDoneThoughItsLockStays(t *testing.T) {
	t.Parallel()
	bucket := storagetest.NewMemory()
	if _, err := repository.Init(t.Context(), bucket, password, repository.Options{}); err != nil {
		t.Fatal(err)
	}
	ofLocks := func(op storagetest.Operation) bool {
		return op.Verb == storagetest.Delete && strings.HasPrefix(op.Name, "locks/")
	}
	source := archive.Source{Dir: t.TempDir(), Name: claim, Host: "demo/web"}
	save := func(b storage.Bucket) (archive.Result, error) {
		repo, err := repository.Open(t.Context(), b, password, repository.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return archive.Backup(t.Context(), repo, source, nil)
	}
	for _, how := range []storagetest.How{storagetest.Before, storagetest.After} {
		faulty := storagetest.NewFaulty(bucket, storagetest.Fault{At: 1, How: how, Match: ofLocks})
		result, err := save(faulty)
		if err != nil || !faulty.Fired() || len(result.RepositorySnapshot) != 64 {
			t.Fatalf("%s: %+v, %v", how, result, err)
		}
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "remove it before with: stsbackup unlock") {
			t.Errorf("%s: warnings: %q", how, result.Warnings)
		}
	}
	result, err := save(bucket)
	if err != nil || len(result.Warnings) > 0 {
		t.Errorf("the next one: %+v, %v", result, err)
	}
	// A failed backup stays failed, and reports both.
	_, err = save(storagetest.NewFaulty(storagetest.NewFaulty(bucket, storagetest.Fault{At: 1, Match: ofLocks}), storagetest.Fault{
		At: 1, Match: func(op storagetest.Operation) bool {
			return op.Verb == storagetest.Put && strings.HasPrefix(op.Name, "snapshots/")
		},
	}))
	if !errors.Is(err, storagetest.ErrFault) || !strings.Contains(err.Error(), "put snapshots/") ||
		!strings.Contains(err.Error(), "stsbackup unlock") {
		t.Errorf("where the repository snapshot cannot be written: %v", err)
	}
}

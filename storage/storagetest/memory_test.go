package storagetest_test

import (
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

var _ storage.FolderLister = storagetest.NewMemory()

func TestMemoryRefusesANameThatIsAFolder(t *testing.T) {
	t.Parallel()
	bucket := storagetest.NewMemory()
	if err := bucket.Put(t.Context(), "a/b", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a/b/c"} {
		if err := bucket.Put(t.Context(), name, nil); err == nil {
			t.Errorf("Put(%q) beside a/b: no error", name)
		}
	}
	if err := bucket.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "a", nil); err != nil {
		t.Errorf("a name whose folder is gone: %v", err)
	}
	if err := bucket.Put(t.Context(), "ab/c", nil); err != nil {
		t.Errorf("a name that only begins like another: %v", err)
	}
}

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{Open: func(*testing.T) storage.Bucket { return storagetest.NewMemory() }}.Test(t)
}

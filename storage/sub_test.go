package storage_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// part returns a part of a bucket. The names of its neighbours, which must never show, begin alike.
func part(t *testing.T, prefix string) storage.Bucket {
	t.Helper()
	memory := storagetest.NewMemory()
	for _, name := range []string{"object", prefix + "-neighbour/object", prefix + "z", "a/object"} {
		if err := memory.Put(t.Context(), name, []byte("not ours")); err != nil {
			t.Fatal(err)
		}
	}
	bucket, err := storage.Sub(memory, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func TestSubKeepsTheContract(t *testing.T) {
	t.Parallel()
	const prefix = "backups/team a"
	storagetest.Contract{
		Open:        func(t *testing.T) storage.Bucket { return part(t, prefix) },
		LongestName: storage.MaxName - len(prefix+"/"),
	}.Test(t)
}

func TestSubOfNothingIsTheBucket(t *testing.T) {
	t.Parallel()
	memory := storagetest.NewMemory()
	if bucket, err := storage.Sub(memory, ""); err != nil || bucket != storage.Bucket(memory) {
		t.Errorf("Sub(bucket, \"\") = %v, %v; want the bucket itself", bucket, err)
	}
	for _, prefix := range []string{"/", "a/", "/a", "../a", "a//b"} {
		if _, err := storage.Sub(memory, prefix); !errors.Is(err, storage.ErrName) {
			t.Errorf("Sub(%q): %v, want %v", prefix, err, storage.ErrName)
		}
	}
}

func TestSubNamesItself(t *testing.T) {
	t.Parallel()
	if got := part(t, "x").String(); got != "memory/x" {
		t.Errorf("String() = %q", got)
	}
}

// onlyBucket hides everything else that a bucket can do.
type onlyBucket struct{ storage.Bucket }

func TestFoldersOfABucketThatCannotNameThem(t *testing.T) {
	t.Parallel()
	memory := storagetest.NewMemory()
	for _, name := range []string{"a-b/x", "a/x", "a/y/z", "object"} {
		if err := memory.Put(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	folders, err := storage.Folders(t.Context(), onlyBucket{memory}, "")
	if diff := cmp.Diff([]string{"a", "a-b"}, folders); err != nil || diff != "" {
		t.Errorf("Folders: %v (-want +got):\n%s", err, diff)
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "a/b": true, "...": true, "a b": true, "ä": true, ".a": true,
		"": false, "/": false, "a/": false, "/a": false, "a//b": false, ".": false, "..": false, "a/../b": false,
		"a/.": false, "a\x00": false, "a\tb": false, `a\b`: false, "\xff": false, "\x7f": false,
	} {
		if got := storage.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

package archive_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// contents returns a bucket's objects below some prefixes.
func contents(t *testing.T, bucket *storagetest.Memory, prefixes ...string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, prefix := range prefixes {
		err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
			found[info.Name] = nil
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range found {
		found[name] = must(io.ReadAll(must(bucket.Get(t.Context(), name, 0, -1))(t)))(t)
	}
	return found
}

func remove(t *testing.T, bucket *storagetest.Memory, names map[string][]byte, prefix string) {
	t.Helper()
	for name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRestoreFromAnyCopy stores every piece of every file, and every directory, in two packs, one of which is missing
// or cut short.
func TestRestoreFromAnyCopy(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("big", filler(20<<20, 1), 0o644)
	b.dir("sub", 0o755)
	b.file("sub/small", []byte("content"), 0o644)
	b.dir("many", 0o755) // more entries than are read at once
	for i := range 10_000 {
		b.file(fmt.Sprintf("many/%s%05d", strings.Repeat("x", 200), i), nil, 0o644)
	}
	bed, bucket := memoryBed(t)
	bed.backup(t, source)
	first := contents(t, bucket, "data/", "index/")
	remove(t, bucket, first, "")
	again := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
	bed.repo = again
	bed.backup(t, source)
	second := contents(t, bucket, "data/", "index/")
	fill := func(stored map[string][]byte) {
		for name, content := range stored {
			if err := bucket.Put(t.Context(), name, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(packs map[string][]byte){
		"missing": func(packs map[string][]byte) { remove(t, bucket, packs, "data/") },
		"cut short": func(packs map[string][]byte) {
			for name, content := range packs {
				if strings.HasPrefix(name, "data/") {
					remove(t, bucket, map[string][]byte{name: nil}, "")
					fill(map[string][]byte{name: content[:len(content)/2]})
				}
			}
		},
	} {
		for _, lost := range []map[string][]byte{first, second} {
			fill(first)
			fill(second)
			damage(lost)
			repo := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
			target := t.TempDir()
			if _, err := archive.Restore(t.Context(), repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			same(t, source, target)
		}
	}
}

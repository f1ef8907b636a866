package repository

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// indexReads counts the index objects that are read.
type indexReads struct {
	storage.Bucket
	count atomic.Int64
}

func (b *indexReads) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "index/") {
		b.count.Add(1)
	}
	return b.Bucket.Get(ctx, name, offset, length)
}

// TestIndexIsReadOnce loads the index again and again: it is read only when there is something new, and knows nothing
// that no index object says.
func TestIndexIsReadOnce(t *testing.T) {
	author, memory := newRepo(t)
	save := func(text string) ID {
		t.Helper()
		writer, err := author.NewWriter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id, err := writer.SaveBlob(t.Context(), DataBlob, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Flush(); err != nil {
			t.Fatal(err)
		}
		return id
	}
	one := save("one")
	bucket := &indexReads{Bucket: memory}
	repo := reopen(t, bucket)
	expect := func(what string, reads int64, known map[ID]bool) {
		t.Helper()
		bucket.count.Store(0)
		if err := repo.LoadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := bucket.count.Load(); got != reads {
			t.Errorf("%s: read %d index objects, want %d", what, got, reads)
		}
		for id, want := range known {
			_, err := repo.Locate(DataBlob, id)
			if ok := err == nil; ok != want || !ok && !errors.Is(err, ErrNoBlob) {
				t.Errorf("%s: blob %s is known: %v, want %v", what, id.Short(), ok, want)
			}
		}
	}
	expect("first", 1, map[ID]bool{one: true})
	expect("nothing new", 0, map[ID]bool{one: true})
	first := list(t, memory, "index/")
	two := save("two")
	expect("another writer's", 2, map[ID]bool{one: true, two: true})

	lost := Hash([]byte("lost"))
	repo.index.Add(packfile.Pack{ID: lost, Blobs: []packfile.Blob{{ID: lost, Type: DataBlob, Length: 100}}}) // like a writer that gives up
	expect("after a pack that no index object names", 2, map[ID]bool{one: true, two: true, lost: false})

	if err := memory.Delete(t.Context(), first[0]); err != nil {
		t.Fatal(err)
	}
	expect("after a removal", 1, map[ID]bool{one: false, two: true})
}

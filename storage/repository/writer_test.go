package repository

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// saved writes blobs and returns their ids.
func saved(t *testing.T, repo *Repository, blobType BlobType, blobs ...[]byte) []ID {
	t.Helper()
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []ID
	for _, blob := range blobs {
		id, err := w.SaveBlob(t.Context(), blobType, blob)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestBlobs(t *testing.T) {
	repo, bucket := newRepo(t)
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	blobs := [][]byte{[]byte("small"), {}, bytes.Repeat([]byte("text "), 1<<20), random, make([]byte, maxSlab), []byte("small")}
	ids := saved(t, repo, DataBlob, blobs...)
	again := reopen(t, bucket)
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		got, err := again.LoadBlob(t.Context(), DataBlob, id)
		if err != nil || !bytes.Equal(got, blobs[i]) {
			t.Errorf("blob %d: %d bytes, %v", i, len(got), err)
		}
		if at, _ := again.Locate(DataBlob, id); int(at.PlainLength) != len(blobs[i]) {
			t.Errorf("blob %d has length %d in the index", i, at.PlainLength)
		}
	}
	if _, err := again.LoadBlob(t.Context(), TreeBlob, ids[0]); !errors.Is(err, ErrNoBlob) {
		t.Errorf("a data blob as a tree: %v", err)
	}
	before := len(list(t, bucket, "data/"))
	saved(t, again, DataBlob, blobs...)
	if after := len(list(t, bucket, "data/")); after != before {
		t.Errorf("saving the same again made %d packs", after-before)
	}
}

// maxSlab is the largest piece that files are cut into.
const maxSlab = 8 << 20

// TestManyBlobs saves, from many goroutines, more blobs than one pack and one index object hold.
func TestManyBlobs(t *testing.T) {
	repo, bucket := newRepo(t)
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const count = 60_000
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := range count {
				if i%4 == g || i%100 == 0 { // some by all at once
					if _, err := w.SaveBlob(t.Context(), DataBlob, fmt.Appendf(nil, "blob %d", i)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := w.Stats().DataBlobs; got != count {
		t.Errorf("%d blobs were stored, want %d: each once", got, count)
	}
	if n := len(list(t, bucket, "index/")); n < 2 {
		t.Errorf("%d index objects", n)
	}
	again := reopen(t, bucket)
	for _, name := range list(t, bucket, "index/") {
		plain, err := again.sealer.Open(get(t, bucket, name))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err = again.zstd.DecompressUpTo(plain[1:], maxObjectSize); err != nil || len(plain) > 8<<20 {
			t.Errorf("%s: %d bytes of JSON, %v", name, len(plain), err)
		}
	}
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if _, err := again.Locate(DataBlob, Hash(fmt.Appendf(nil, "blob %d", i))); err != nil {
			t.Fatalf("blob %d is not in the index", i)
		}
	}
}

// TestWriterFails makes uploads fail: no blob may count as stored, nobody may hang.
func TestWriterFails(t *testing.T) {
	for _, prefix := range []string{"data/", "index/"} {
		memory := storagetest.NewMemory()
		if _, err := Init(t.Context(), memory, password, quick()); err != nil {
			t.Fatal(err)
		}
		repo := reopen(t, &failing{Bucket: memory, name: prefix})
		w, err := repo.NewWriter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		random := make([]byte, 4<<20)
		for range 20 {
			_, _ = rand.Read(random)
			if _, err = w.SaveBlob(t.Context(), DataBlob, random); err != nil {
				break
			}
		}
		if prefix == "data/" && err == nil {
			t.Error("80 MiB were taken although nothing can be stored")
		}
		if err := w.Flush(); !errors.Is(err, storage.ErrNoSpace) {
			t.Errorf("flush: %v, want ErrNoSpace", err)
		}
	}
}

func TestWriterEndsWithItsContext(t *testing.T) {
	repo, _ := newRepo(t)
	cause := errors.New("the lock is lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := repo.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SaveBlob(ctx, DataBlob, []byte("x")); err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	for i := range 20 { // also while there is room for more
		if _, err := w.SaveBlob(t.Context(), DataBlob, []byte{byte(i)}); !errors.Is(err, cause) {
			t.Errorf("blob %d after the end: %v, want %v", i, err, cause)
		}
	}
	if len(w.packers[DataBlob]) != dataPackers {
		t.Errorf("%d of %d packers came back", len(w.packers[DataBlob]), dataPackers)
	}
	if err := w.Flush(); !errors.Is(err, cause) {
		t.Errorf("flush: %v, want %v", err, cause)
	}
}

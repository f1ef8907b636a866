package repository

import (
	"context"
	"crypto/rand"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// written is a Bucket that notes, in order, what is written, and signals it.
type written struct {
	*storagetest.Memory
	mu    sync.Mutex
	names []string
	index chan struct{} // gets a value for each index object, while there is room
}

func (w *written) Put(ctx context.Context, name string, data []byte) error {
	err := w.Memory.Put(ctx, name, data)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.names = append(w.names, name)
	}
	if strings.HasPrefix(name, "index/") {
		select {
		case w.index <- struct{}{}:
		default:
		}
	}
	return err
}

// newWritten is such a bucket with a repository in it.
func newWritten(t *testing.T, options Options) (*Repository, *written) {
	t.Helper()
	bucket := &written{Memory: storagetest.NewMemory(), index: make(chan struct{}, 1)}
	repo, err := Init(t.Context(), bucket, password, options)
	if err != nil {
		t.Fatal(err)
	}
	return repo, bucket
}

// inNoIndex is the size of those packs among these objects that no index object among them names.
func inNoIndex(t *testing.T, repo *Repository, names []string) int64 {
	t.Helper()
	left := map[ID]int64{}
	for _, name := range names {
		if id, ok := kindData.parseName(name); ok {
			info, err := repo.bucket.Stat(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			left[id] = info.Size
		}
	}
	for _, name := range names {
		id, ok := kindIndex.parseName(name)
		if !ok {
			continue
		}
		var object packfile.IndexObject
		if err := repo.loadObject(t.Context(), kindIndex, id, &object); err != nil {
			t.Fatal(err)
		}
		for _, pack := range object.Packs {
			delete(left, pack.ID)
		}
	}
	sum := int64(0)
	for _, size := range left {
		sum += size
	}
	return sum
}

// saveNoise saves some MiB that nobody has saved before.
func saveNoise(ctx context.Context, t *testing.T, w *Writer, count int) {
	t.Helper()
	blob := make([]byte, 1<<20)
	for range count {
		_, _ = rand.Read(blob)
		if _, err := w.SaveBlob(ctx, DataBlob, blob); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatIsInNoIndexIsBounded looks at the bucket at every moment at which a process that saves much can be killed.
func TestWhatIsInNoIndexIsBounded(t *testing.T) {
	options := hasty()
	options.indexing = indexTiming{bytes: 32 << 20, age: time.Hour}
	repo, bucket := newWritten(t, options)
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	saveNoise(t.Context(), t, w, 300)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	// The packs that arrive while an index object is written are as many as there are buffers.
	most := options.indexing.bytes + dataBuffers*dataPackSize
	for n := range bucket.names {
		if left := inNoIndex(t, repo, bucket.names[:n+1]); left > most {
			t.Fatalf("after %d objects %d MiB are in no index, want %d at most", n+1, left>>20, most>>20)
		}
	}
	if real := defaultIndexTiming().bytes + dataBuffers*dataPackSize + treeBuffers*treePackSize; real > 256<<20 {
		t.Errorf("a killed backup has up to %d MiB to store again, want 256 at most", real>>20)
	}
	if n := len(list(t, bucket, "index/")); n < 6 || n > 10 {
		t.Errorf("%d index objects", n)
	}
}

// TestIndexIsWrittenInTime runs a backup that finds next to nothing new for longer than a pack may be in no index.
func TestIndexIsWrittenInTime(t *testing.T) {
	options := hasty()
	var mu sync.Mutex
	now := time.Now()
	options.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	repo, bucket := newWritten(t, options)
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	saveNoise(t.Context(), t, w, 24)
	deadline := time.After(time.Minute)
	for noted := 0; noted == 0; runtime.Gosched() {
		w.left.writing.Lock()
		noted = len(w.left.packs)
		w.left.writing.Unlock()
		select {
		case <-deadline:
			t.Fatal("no pack was written")
		default:
		}
	}
	if n := len(list(t, bucket, "index/")); n != 0 {
		t.Fatalf("%d index objects before their time", n)
	}
	mu.Lock()
	now = now.Add(defaultIndexTiming().age)
	mu.Unlock()
	deadline = time.After(time.Minute)
	for done := false; !done; {
		if _, err := w.SaveBlob(t.Context(), DataBlob, []byte("the same again and again")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-bucket.index:
			done = true
		case <-deadline:
			t.Fatal("no index object was written")
		default:
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestStoppedWriterNamesWhatItHasStored ends the lock's context halfway, as a signal does, with the lock held and with
// the lock lost.
func TestStoppedWriterNamesWhatItHasStored(t *testing.T) {
	for _, lost := range []bool{false, true} {
		repo, bucket := newWritten(t, hasty())
		ctx, stop := context.WithCancel(t.Context())
		lock, err := repo.Lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w, err := repo.NewWriter(lock.Context())
		if err != nil {
			t.Fatal(err)
		}
		saveNoise(ctx, t, w, 40)
		if lost {
			takeAway(t, bucket.Memory, "locks/")
		}
		stop()
		w.Abort()
		err = lock.Release(ctx)
		if !lost && err != nil {
			t.Error(err)
		}
		left := inNoIndex(t, repo, bucket.names)
		switch {
		case lost && len(list(t, bucket, "index/")) > 0:
			t.Error("an index object was written without a lock")
		case !lost && (left > 0 || len(list(t, bucket, "data/")) < 2):
			t.Errorf("%d packs were written, and %d MiB of them are in no index", len(list(t, bucket, "data/")), left>>20)
		}
	}
}

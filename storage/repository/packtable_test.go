package repository

import (
	"encoding/binary"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
)

// TestPackTable has more packs than are kept in memory, with a file and without one.
func TestPackTable(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/not/there"} {
		t.Setenv("TMPDIR", dir)
		table := newPackTable()
		table.limit = 1000
		const count = 30_000
		extent := func(n int) packExtent {
			id := ID{}
			binary.LittleEndian.PutUint32(id[:], uint32(n))
			return packExtent{id: id, end: uint32(3 * n)}
		}
		for n := range count {
			if number := table.add(extent(n)); number != n {
				t.Fatalf("pack %d got the number %d", n, number)
			}
		}
		for n := range count {
			if got, err := table.get(n); err != nil || got != extent(n) {
				t.Fatalf("pack %d: %v, %v", n, got, err)
			}
		}
		if table.count() != count || table.full != (dir == "/not/there") || len(table.first) != 1000 {
			t.Errorf("%d packs, of them %d in memory; full: %v", table.count(), len(table.first), table.full)
		}
		if files, err := os.ReadDir(t.TempDir()); err != nil || len(files) > 0 {
			t.Errorf("files are left: %v, %v", files, err)
		}
		table.close()
	}
}

// TestLargeIndex loads index objects of very many packs each. What that takes of memory does not grow with their number.
func TestLargeIndex(t *testing.T) {
	repo, bucket := newRepo(t)
	const objects, packs = 4, 200_000
	for o := range objects {
		object := indexObject{Packs: make([]indexPack, packs)}
		for p := range packs {
			var id ID
			binary.LittleEndian.PutUint64(id[:], uint64(o*packs+p)*0x9e3779b97f4a7c15)
			object.Packs[p] = indexPack{ID: id, Blobs: []indexBlob{{ID: id, Type: DataBlob, Length: 100}}}
		}
		if _, _, err := repo.saveObject(t.Context(), kindIndex, object); err != nil {
			t.Fatal(err)
		}
	}
	again := reopen(t, bucket)
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // as commands do
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var now runtime.MemStats
		for {
			select {
			case <-stop:
				return
			default:
				runtime.ReadMemStats(&now)
				most.Store(max(most.Load(), now.HeapAlloc))
				runtime.Gosched()
			}
		}
	}()
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	runtime.GC()
	runtime.ReadMemStats(&now)
	if kept := int64(now.HeapAlloc) - int64(before.HeapAlloc); kept > 32<<20 {
		t.Errorf("%d MiB are kept of the index", kept>>20)
	}
	if used := int64(most.Load()) - int64(before.HeapAlloc); used > 150<<20 {
		t.Errorf("%d MiB were needed to load the index", used>>20)
	}
	if got := again.index.packs.count(); got != objects*packs {
		t.Errorf("%d packs", got)
	}
}

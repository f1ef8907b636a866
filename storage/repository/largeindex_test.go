package repository

import (
	"encoding/binary"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// TestLargeIndex loads index objects with very many packs each. The memory for that does not grow with their number.
func TestLargeIndex(t *testing.T) {
	repo, bucket := newRepo(t)
	const objects, packs = 4, 200_000
	for o := range objects {
		object := packfile.IndexObject{Packs: make([]packfile.Pack, packs)}
		for p := range packs {
			var id ID
			binary.LittleEndian.PutUint64(id[:], uint64(o*packs+p)*0x9e3779b97f4a7c15)
			object.Packs[p] = packfile.Pack{ID: id, Blobs: []packfile.Blob{{ID: id, Type: DataBlob, Length: 100}}}
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
	if got := again.index.Packs(); got != objects*packs {
		t.Errorf("%d packs", got)
	}
}

package repository

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// indexTiming says when a Writer writes an index object. If a process is killed, the next one stores again what is in
// the bucket but in no index.
type indexTiming struct {
	bytes int64         // of packs in no index yet
	age   time.Duration // of the oldest of them
}

// defaultIndexTiming leaves room for packs that arrive while an index object is written: less than 256 MiB in all.
func defaultIndexTiming() indexTiming {
	return indexTiming{bytes: 192 << 20, age: 2 * time.Minute}
}

// unindexed are packs in the bucket but in no index yet.
type unindexed struct {
	// writing is held while noting a pack, and while writing an index object: packs that arrive meanwhile wait, with
	// their buffers, so there are never many.
	writing  sync.Mutex
	packs    []packfile.Pack
	estimate int   // estimated size of their index object
	bytes    int64 // size of the packs
	due      atomic.Int64
}

// overdue reports, once, that the oldest pack has waited long enough.
func (u *unindexed) overdue(now time.Time) bool {
	due := u.due.Load()
	return due != 0 && now.UnixNano() >= due && u.due.CompareAndSwap(due, 0)
}

// record notes that a pack of size bytes is in the bucket, and writes an index object when there are enough packs for
// one.
func (w *Writer) record(pack packfile.Pack, size int64) error {
	w.left.writing.Lock()
	defer w.left.writing.Unlock()
	timing := w.repo.options.indexing
	if len(w.left.packs) == 0 {
		w.left.due.Store(w.repo.Now().Add(timing.age).UnixNano())
	}
	w.left.packs = append(w.left.packs, pack)
	w.left.estimate += pack.JSONSize()
	w.left.bytes += size
	if w.left.estimate < indexLimit && w.left.bytes < timing.bytes {
		return nil
	}
	return w.saveIndex(w.ctx)
}

// saveLeft writes an index object for packs that have none.
func (w *Writer) saveLeft(ctx context.Context) error {
	w.left.writing.Lock()
	defer w.left.writing.Unlock()
	return w.saveIndex(ctx)
}

// saveIndex is saveLeft for callers that hold writing. Packs that it could not write an index for stay unindexed.
func (w *Writer) saveIndex(ctx context.Context) error {
	packs := w.left.packs
	if len(packs) == 0 {
		return nil
	}
	size, err := w.repo.saveIndex(ctx, packfile.IndexObject{Packs: packs})
	if err != nil {
		return err
	}
	w.left.packs, w.left.estimate, w.left.bytes = nil, 0, 0
	w.left.due.Store(0)
	w.stored.Add(int64(size))
	for _, pack := range packs {
		w.repo.index.Add(pack)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pack := range packs {
		for _, blob := range pack.Blobs {
			delete(w.claimed[blob.Type], blob.ID)
		}
	}
	return nil
}

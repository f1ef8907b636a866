package archive

import (
	"cmp"
	"context"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	// fetchers is how many runs are fetched and written at once.
	fetchers = 4
	// runBytes is how much one read of a pack fetches at most, if there is more than one blob in it. It bounds a
	// fetcher's buffer, and lets several fetchers share a pack.
	runBytes = 4 << 20
	// gapBytes is how much is read in vain rather than making two reads: about what a bucket could send in the time
	// that it takes to answer.
	gapBytes = 128 << 10
)

// piece is a place in a file.
type piece struct {
	file   *targetFile
	offset int64
}

// need is a blob and where it is to be written.
type need struct {
	id     repository.ID
	at     repository.Location
	pieces []piece
}

// batch is what a part of the restore needs.
type batch struct {
	needs  []need
	known  map[repository.ID]int // in needs
	pieces int
	bytes  int64
}

func (b *batch) add(id repository.ID, at repository.Location, to piece) {
	b.pieces++
	if i, ok := b.known[id]; ok {
		b.needs[i].pieces = append(b.needs[i].pieces, to)
		return
	}
	if b.known == nil {
		b.known = map[repository.ID]int{}
	}
	b.known[id] = len(b.needs)
	b.needs = append(b.needs, need{id: id, at: at, pieces: []piece{to}})
	b.bytes += int64(at.PlainLength)
}

func (b *batch) full() bool {
	return b.bytes >= batchBytes || len(b.needs) >= batchBlobs || b.pieces >= batchPieces
}

// run is a part of a pack that is fetched with one read: blobs in the order in which they lie there.
type run struct {
	pack   repository.ID
	offset int64
	length int
	needs  []need
}

// plan sorts the needs into runs. Packs come in the order in which files need them, so that files are completed, and
// closed, one after the other.
func (b *batch) plan() []run {
	order := map[repository.ID]int{}
	for _, n := range b.needs {
		if _, ok := order[n.at.Pack]; !ok {
			order[n.at.Pack] = len(order)
		}
	}
	slices.SortFunc(b.needs, func(x, y need) int {
		return cmp.Or(cmp.Compare(order[x.at.Pack], order[y.at.Pack]), cmp.Compare(x.at.Offset, y.at.Offset))
	})
	var runs []run
	for i, n := range b.needs {
		start, end := int64(n.at.Offset), int64(n.at.Offset)+int64(n.at.Length)
		if len(runs) > 0 {
			last := &runs[len(runs)-1]
			lastEnd := last.offset + int64(last.length)
			if last.pack == n.at.Pack && start >= lastEnd && start-lastEnd <= gapBytes && end-last.offset <= runBytes {
				last.length = int(end - last.offset)
				last.needs = b.needs[i-len(last.needs) : i+1]
				continue
			}
		}
		runs = append(runs, run{pack: n.at.Pack, offset: start, length: int(n.at.Length), needs: b.needs[i : i+1]})
	}
	return runs
}

// fetcher fetches runs and writes what is in them. It is one goroutine, and keeps its buffers.
type fetcher struct {
	*restoring
	sealed, plain []byte
}

func (f *fetcher) run(ctx context.Context, r run) error {
	if cap(f.sealed) < r.length { // at once as large as most others need it
		f.sealed = make([]byte, 0, max(r.length, runBytes))
	}
	sealed, err := f.repo.ReadPack(ctx, r.pack, r.offset, f.sealed, r.length)
	if err != nil {
		return err
	}
	f.fetched.Add(int64(r.length))
	for _, n := range r.needs {
		start := int64(n.at.Offset) - r.offset
		// The plain bytes may share memory with the sealed ones, but not with those of the next blob.
		plain, err := f.repo.OpenBlob(n.at, n.id, sealed[start:start+int64(n.at.Length)], f.plain)
		if err != nil {
			// It may have been changed on its way here, and not in the bucket: once more, by itself.
			plain, err = f.repo.LoadBlob(ctx, repository.DataBlob, n.id)
		}
		if err != nil {
			return err
		}
		if n.at.Compressed {
			f.plain = plain
		}
		if err := f.write(n, plain); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (f *fetcher) write(n need, plain []byte) error {
	// Holes may need one blob of zeros many thousand times.
	blank := allZero(plain)
	for _, to := range n.pieces {
		if err := to.file.write(f.restoring, to.offset, plain, blank); err != nil {
			return err
		}
		f.doneBytes.Add(int64(len(plain)))
		if err := to.file.done(f.restoring); err != nil {
			return err
		}
	}
	f.report()
	return nil
}

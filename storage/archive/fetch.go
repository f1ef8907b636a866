package archive

import (
	"cmp"
	"context"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

const (
	// fetchers is how many runs are fetched and written at once.
	fetchers = 4
	// runBytes is how much one read of a pack fetches at most, if there is more than one blob in it: a pack of ours whole,
	// and a share for each fetcher of the largest that others write.
	runBytes = 8 << 20
	// partBytes is how much of it is in a fetcher's buffer at once, if there is more than one blob in it.
	partBytes = 2 << 20
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
	at     packfile.Location
	pieces []piece
}

// batch is what a part of the restore needs.
type batch struct {
	needs  []need
	known  map[repository.ID]int // in needs
	pieces int
	bytes  int64
}

func (b *batch) add(id repository.ID, at packfile.Location, to piece) {
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
	opener *repository.Opener
	buf    []byte                  // of a part
	sealed []repository.SealedBlob // which lie in it
	again  []need                  // what could not be opened
}

// run fetches a run and writes what is in it.
func (f *fetcher) run(ctx context.Context, r run) error {
	f.again = f.again[:0]
	if err := f.stream(ctx, r); err != nil {
		return err
	}
	// What is damaged may have been changed on its way here, and not in the bucket: once more, by itself. Only now, for who
	// waits for a second connection while holding one might wait for themselves.
	for _, n := range f.again {
		plain, err := f.repo.LoadBlob(ctx, repository.DataBlob, n.id)
		if err != nil {
			return err
		}
		if err := f.write(n, plain); err != nil {
			return err
		}
	}
	return nil
}

// stream fetches a run part by part, so that no more of it is in memory, and in the processor's cache.
func (f *fetcher) stream(ctx context.Context, r run) error {
	stream, err := f.repo.StreamPack(ctx, r.pack, r.offset, int64(r.length))
	if err != nil {
		return f.elsewhere(ctx, r.needs, err)
	}
	defer stream.Close()
	for at, rest := r.offset, r.needs; len(rest) > 0; {
		count, length := nextPart(at, rest)
		data, err := f.next(stream, length)
		if err != nil {
			return f.elsewhere(ctx, rest, err)
		}
		if err := f.part(ctx, data, at, rest[:count]); err != nil {
			return err
		}
		at, rest = at+int64(length), rest[count:]
	}
	return nil
}

// nextPart says how many of the needs are read at once, from at on, and how many bytes that is.
func nextPart(at int64, needs []need) (count, length int) {
	for i, n := range needs {
		end := int(int64(n.at.Offset) + int64(n.at.Length) - at)
		if i > 0 && end > partBytes {
			break
		}
		count, length = i+1, end
	}
	return count, length
}

// elsewhere leaves to be read one by one what could not be read of a run: it may lie in other packs too.
func (f *fetcher) elsewhere(ctx context.Context, needs []need, err error) error {
	if !repository.Unusable(ctx, err) {
		return err
	}
	f.again = append(f.again, needs...)
	return nil
}

// next reads the next part of a run.
func (f *fetcher) next(stream *repository.PackStream, length int) ([]byte, error) {
	if cap(f.buf) < length { // at once as large as most others need it
		f.buf = make([]byte, 0, max(length, partBytes))
	}
	data, err := stream.Next(length, f.buf)
	if err == nil {
		f.fetched.Add(int64(length))
	}
	return data, err
}

// part writes the blobs in a part of a run, which begins at an offset of its pack.
func (f *fetcher) part(ctx context.Context, data []byte, at int64, needs []need) error {
	f.sealed = f.sealed[:0]
	for _, n := range needs {
		start := int64(n.at.Offset) - at
		f.sealed = append(f.sealed, repository.SealedBlob{ID: n.id, At: n.at, Bytes: data[start : start+int64(n.at.Length)]})
	}
	return f.opener.Open(f.sealed, func(i int, plain []byte, err error) error {
		if err != nil {
			f.again = append(f.again, needs[i])
			return nil
		}
		if err := f.write(needs[i], plain); err != nil {
			return err
		}
		return context.Cause(ctx)
	})
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

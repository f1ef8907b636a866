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
	// runBytes is how much one read of a pack fetches at most, if it covers more than one blob: a whole pack of ours,
	// or each fetcher's share of the largest packs that others write.
	runBytes = 8 << 20
	// partBytes is how much of a run a fetcher's buffer holds at once, if that covers more than one blob.
	partBytes = 2 << 20
	// gapBytes is how many unneeded bytes are read rather than making two reads: about what a bucket could send in the
	// time that it takes to answer.
	gapBytes = 128 << 10
)

// piece is a place in a file.
type piece struct {
	file   *targetFile
	offset int64
}

// need is a blob and the places where to write it.
type need struct {
	id     repository.ID
	at     packfile.Location
	pieces []piece
}

// batch is what a part of the restore needs.
type batch struct {
	needs  []need
	known  map[repository.ID]int // index in needs
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
// closed, one by one.
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
	buf    []byte                  // of one part
	sealed []repository.SealedBlob // blobs in buf
	again  []need                  // blobs that could not be opened
}

// run fetches a run and writes what is in it.
func (f *fetcher) run(ctx context.Context, r run) error {
	f.again = f.again[:0]
	if err := f.stream(ctx, r); err != nil {
		return err
	}
	// A damaged blob may have been changed on its way here, and not in the bucket: read it once more, alone. This
	// happens only now, because goroutines that wait for a second connection while they hold one might wait for each
	// other.
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

// stream fetches a run part by part, so that only one part at a time takes memory, and room in the processor's cache.
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

// nextPart says how many of the needs, from at on, are read at once, and how many bytes they are.
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

// elsewhere puts the blobs of a run that could not be read on the list to be read one by one: other packs may have them
// too.
func (f *fetcher) elsewhere(ctx context.Context, needs []need, err error) error {
	if !repository.Unusable(ctx, err) {
		return err
	}
	f.again = append(f.again, needs...)
	return nil
}

// next reads the next part of a run.
func (f *fetcher) next(stream *repository.PackStream, length int) ([]byte, error) {
	if cap(f.buf) < length { // make it as large as most later parts need
		f.buf = make([]byte, 0, max(length, partBytes))
	}
	data, err := stream.Next(length, f.buf)
	if err == nil {
		f.fetched.Add(int64(length))
	}
	return data, err
}

// part writes the blobs in one part of a run. at is the part's offset in its pack.
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
	// Files with holes may need one blob of zeros many thousand times.
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

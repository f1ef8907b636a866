package blobindex

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"sync"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

const (
	// runEntrySize is the size of an entry, in bytes: the id, and the place's four numbers.
	runEntrySize = len(format.ID{}) + 4*4
	// blockEntries is how many entries are read to find one of them: 4 KiB.
	blockEntries = 4096 / runEntrySize
	blockSize    = blockEntries * runEntrySize
	// runBuffer is how much of a run is read or written at once, in bytes.
	runBuffer = 256 << 10
)

// ErrFile says that a run cannot be read or written, which is no fault of the repository.
var ErrFile = errors.New("the index's temporary file")

// run is a temporary file of entries in the order of their ids. It has no name, and disappears with the process at the
// latest.
type run struct {
	file  *os.File
	count int
	// fence has the first id of each block: it tells which block must have an id.
	fence []format.ID

	mu    sync.Mutex
	block [blockSize]byte // the block that was read last
}

// find looks for an entry.
func (r *run) find(id format.ID) (place, bool, error) {
	n, first := slices.BinarySearchFunc(r.fence, id, format.Compare)
	if !first {
		n-- // it would lie behind the first of the block before
	}
	if n < 0 {
		return place{}, false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	count := min(blockEntries, r.count-n*blockEntries)
	block := r.block[:count*runEntrySize]
	if _, err := r.file.ReadAt(block, int64(n)*int64(blockSize)); err != nil {
		return place{}, false, fmt.Errorf("read %w: %w", ErrFile, err)
	}
	entry := func(i int) []byte { return block[i*runEntrySize:][:runEntrySize] }
	i := sort.Search(count, func(i int) bool { return bytes.Compare(entry(i)[:len(id)], id[:]) >= 0 })
	if i == count {
		return place{}, false, nil
	}
	found, at := decodeEntry(entry(i))
	return at, found == id, nil
}

func (r *run) close() { _ = r.file.Close() } // the file disappears with it

// writeRun writes entries from a map, sorted.
func writeRun(dir string, entries map[format.ID]place) (*run, error) {
	ids := make([]format.ID, 0, len(entries))
	for id := range entries {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, format.Compare)
	w, err := newRunWriter(dir)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		w.add(id, entries[id])
	}
	return w.finish(nil)
}

// mergeRuns writes the entries of two runs. If both have an entry, it keeps the newer run's.
func mergeRuns(dir string, older, newer *run) (*run, error) {
	w, err := newRunWriter(dir)
	if err != nil {
		return nil, err
	}
	a, b := newRunReader(older), newRunReader(newer)
	for a.ok || b.ok {
		switch {
		case !b.ok || a.ok && format.Compare(a.id, b.id) < 0:
			w.add(a.id, a.at)
			a.next()
		case !a.ok || format.Compare(b.id, a.id) < 0:
			w.add(b.id, b.at)
			b.next()
		default:
			a.next()
		}
	}
	return w.finish(errors.Join(a.err, b.err))
}

// runReader goes through the entries of a run.
type runReader struct {
	from *bufio.Reader
	left int // entries that have not been read yet
	id   format.ID
	at   place
	ok   bool // id and at hold an entry
	err  error
}

func newRunReader(r *run) *runReader {
	all := io.NewSectionReader(r.file, 0, int64(r.count)*int64(runEntrySize))
	reader := &runReader{from: bufio.NewReaderSize(all, runBuffer), left: r.count}
	reader.next()
	return reader
}

func (r *runReader) next() {
	if r.ok = r.left > 0; !r.ok {
		return
	}
	var entry [runEntrySize]byte
	if _, err := io.ReadFull(r.from, entry[:]); err != nil {
		r.ok, r.err = false, fmt.Errorf("read %w: %w", ErrFile, err)
		return
	}
	r.left--
	r.id, r.at = decodeEntry(entry[:])
}

// runWriter writes entries that arrive in order.
type runWriter struct {
	run *run
	to  *bufio.Writer // keeps the first error
}

func newRunWriter(dir string) (*runWriter, error) {
	file, err := os.CreateTemp(dir, "stsbackup-index-")
	if err != nil {
		return nil, fmt.Errorf("make %w: %w", ErrFile, err)
	}
	// Nobody else finds it, and it disappears with the process.
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make %w: %w", ErrFile, err), file.Close())
	}
	return &runWriter{run: &run{file: file}, to: bufio.NewWriterSize(file, runBuffer)}, nil
}

func (w *runWriter) add(id format.ID, at place) {
	if w.run.count%blockEntries == 0 {
		w.run.fence = append(w.run.fence, id)
	}
	w.run.count++
	entry := append(w.to.AvailableBuffer(), id[:]...)
	for _, number := range []uint32{at.pack, at.offset, at.length, at.plain} {
		entry = binary.LittleEndian.AppendUint32(entry, number)
	}
	_, _ = w.to.Write(entry) // finish returns the error
}

// finish returns the run, unless err says that its input could not be read.
func (w *runWriter) finish(err error) (*run, error) {
	if flushErr := w.to.Flush(); flushErr != nil {
		err = errors.Join(err, fmt.Errorf("write %w: %w", ErrFile, flushErr))
	}
	if err != nil {
		w.run.close()
		return nil, err
	}
	return w.run, nil
}

func decodeEntry(entry []byte) (format.ID, place) {
	id, numbers := format.ID(entry[:len(format.ID{})]), entry[len(format.ID{}):]
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(numbers[4*i:]) }
	return id, place{pack: number(0), offset: number(1), length: number(2), plain: number(3)}
}

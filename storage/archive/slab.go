package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/stsbackup/stsbackup/storage/fastcdc"
)

// How files are cut into pieces, in bytes. A file of up to minPiece is one piece. With smaller pieces, more of a
// database where only single pages changed would be found unchanged; with larger ones, the index would be smaller.
const (
	minPiece    = 256 << 10
	normalPiece = 512 << 10
	maxPiece    = 4 << 20
)

const (
	// slabCount slabs are all the memory that file content takes before it is packed: the walker fills one while
	// workers empty the other.
	slabCount = 2
	// slabSize is how much a slab holds: more than the largest piece. So the end of each piece can be found within the
	// slab, and the rest, which is no piece yet and is cut again in the next slab, is small.
	slabSize = maxPiece + 2*normalPiece
)

// errTooLarge says that a file has more pieces than the tree of its directory can name.
var errTooLarge = errors.New("is too large: the list of its pieces, of at most 4 MiB each, would be larger than 1 GiB")

// fits reports whether a file with left unread bytes can be saved. That is known long before the file has all of its
// too many pieces.
func (w *walker) fits(file *pendingFile, left int64) bool {
	return int64(file.pieces)+(left+maxPiece-1)/maxPiece <= int64(w.maxPieces)
}

// slab is a buffer for file content. Workers get pieces as parts of it; once the last piece is released, the slab is
// free to be filled again.
type slab struct {
	buf    []byte
	used   int
	cutter *fastcdc.Cutter
	refs   atomic.Int32
	free   chan<- *slab
}

// newSlabs makes the slabs of one backup; the channel delivers free ones.
func newSlabs(key []byte) (chan *slab, error) {
	cutter, err := fastcdc.New(key, fastcdc.Sizes{Min: minPiece, Normal: normalPiece, Max: maxPiece})
	if err != nil {
		return nil, fmt.Errorf("make ready to cut files: %w", err)
	}
	free := make(chan *slab, slabCount)
	for range slabCount {
		free <- &slab{buf: make([]byte, slabSize), cutter: cutter, free: free}
	}
	return free, nil
}

// takeSlab waits for a free slab and holds it; the holder calls release.
func takeSlab(ctx context.Context, free <-chan *slab) (*slab, error) {
	select {
	case s := <-free:
		s.refs.Store(1)
		s.used = 0
		return s, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *slab) hold() { s.refs.Add(1) }

func (s *slab) release() {
	if s.refs.Add(-1) == 0 {
		s.free <- s
	}
}

// cut fills the slab with carry and then with up to left bytes of file, and calls emit for each piece. It returns how
// much of file it has read, and whether there is more. If so, rest is no piece yet, because its end may lie in the
// bytes that follow: the caller passes it as the carry of the next slab.
func (s *slab) cut(
	carry []byte,
	file io.Reader,
	left int64,
	emit func(piece []byte) error,
) (read int64, rest []byte, more bool, err error) {
	carried := copy(s.buf, carry)
	limit := int(min(left, int64(slabSize-carried)))
	n, err := io.ReadFull(file, s.buf[carried:carried+limit])
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	case err != nil:
		return int64(n), nil, false, &readError{err: err}
	default:
		more = int64(n) < left
	}
	for rest = s.buf[:carried+n]; len(rest) > 0; {
		size := s.cutter.Next(rest)
		if size == len(rest) && size < maxPiece && more {
			return int64(n), rest, true, nil
		}
		if err := emit(rest[:size]); err != nil {
			return int64(n), nil, false, err
		}
		rest = rest[size:]
	}
	return int64(n), nil, more, nil
}

package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers the algorithm
)

// How files are cut into pieces, in bytes. A file of up to minPiece is one piece. Smaller pieces would find more that has
// not changed in a database of which single pages have, and larger ones would make the index smaller.
const (
	minPiece    = 256 << 10
	normalPiece = 512 << 10
	maxPiece    = 4 << 20
)

const (
	// algorithm is FastCDC with masks that fit the sizes above, and a key.
	algorithm = "fastcdc-v1.0.0"
	// slabCount slabs are all the memory that file content takes before it is packed: one is being filled while
	// workers empty the other.
	slabCount = 2
	// slabSize is how much a slab holds: more than a piece of the largest size, so that where a piece ends can be told
	// from what is in the slab, and what is no piece yet, which is cut again in the next slab, is little of it.
	slabSize = maxPiece + 2*normalPiece
	// slabSpare is room that is never used. The chunker moves what is left in its buffer to the front once the
	// buffer is full; a buffer that never gets full keeps the pieces where they are until they are released.
	slabSpare = 4 << 10
)

// slab is a buffer for file content. Pieces are handed to workers as parts of it; when the last is released, the slab
// is free to be filled again.
type slab struct {
	buf     []byte
	used    int
	chunker *chunkers.Chunker // cuts what is in buf, and reads nothing but through it
	refs    atomic.Int32
	free    chan<- *slab
}

// newSlabs makes the slabs of one backup; those that are free can be received from the channel.
func newSlabs(key []byte) (chan *slab, error) {
	free := make(chan *slab, slabCount)
	for range slabCount {
		s := &slab{buf: make([]byte, slabSize+slabSpare), free: free}
		var err error
		s.chunker, err = chunkers.NewChunkerBuffer(algorithm, bytes.NewReader(nil), &chunkers.ChunkerOpts{
			MinSize: minPiece, NormalSize: normalPiece, MaxSize: maxPiece, Key: key,
		}, s.buf)
		if err != nil {
			return nil, fmt.Errorf("set up the chunker: %w", err)
		}
		free <- s
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

// cut fills the slab with carry and what follows in file, up to left bytes of it, and calls emit for each piece. It
// returns how much of file it has read, and whether there is more. If so, rest is what is no piece yet, because its end
// may lie in what follows: it is to be the carry of the next slab.
func (s *slab) cut(carry []byte, file io.Reader, left int64, emit func(piece []byte) error) (read int64, rest []byte, more bool, err error) {
	source := &counter{r: file, left: min(left, int64(slabSize-len(carry)))}
	s.chunker.Reset(io.MultiReader(bytes.NewReader(carry), source))
	for done := 0; ; {
		// The first call reads all that fits into the slab.
		piece, err := s.chunker.Next()
		if source.err != nil { // which the chunker takes for the end
			return source.read, nil, false, source.err
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return source.read, nil, false, fmt.Errorf("cut: %w", err)
		}
		more = !source.ended && source.read < left
		done += len(piece)
		end := done == len(carry)+int(source.read)
		if end && more && len(piece) < maxPiece {
			return source.read, piece, true, nil
		}
		if len(piece) > 0 {
			if err := emit(piece); err != nil {
				return source.read, nil, false, err
			}
		}
		if end {
			return source.read, nil, more, nil
		}
	}
}

// counter reads up to left bytes and remembers how it went.
type counter struct {
	r     io.Reader
	left  int64
	read  int64
	ended bool  // the file ended before left bytes were read
	err   error // reading failed
}

func (c *counter) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.read += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		c.ended = true
		return n, io.EOF
	case err != nil:
		c.err = &readError{err: err}
	}
	return n, err
}

package archive

import (
	"context"
	"errors"
	"io"
)

const (
	// jobPieces and jobBytes are how much of small files goes to a worker at once: to hand over each piece alone would
	// take about as long as to read it.
	jobPieces = 64
	jobBytes  = 256 << 10
)

// releaseSmall sends the collected pieces of small files, and releases the slab that small files are read into.
func (w *walker) releaseSmall() error {
	if w.small == nil {
		return nil
	}
	w.small.release()
	w.small = nil
	return w.sendBatch()
}

// smallStretch reads a stretch that is one piece. Such pieces share a slab.
func (w *walker) smallStretch(r io.Reader, size int, file *pendingFile) (int64, error) {
	if w.small != nil && w.small.used+size > slabSize {
		if err := w.releaseSmall(); err != nil {
			return 0, err
		}
	}
	if w.small == nil {
		s, err := takeSlab(w.ctx, w.slabs)
		if err != nil {
			return 0, err
		}
		w.small = s
	}
	s := w.small
	piece := s.buf[s.used : s.used+size]
	n, err := io.ReadFull(r, piece)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return 0, nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, &readError{err: err}
	}
	s.used += n
	return int64(n), w.collect(s, job{file: file, piece: piece[:n]})
}

// collect keeps a piece of a small file until there are enough pieces to send.
func (w *walker) collect(s *slab, j job) error {
	w.batch = append(w.batch, w.expect(s, j))
	w.batched += len(j.piece)
	if len(w.batch) < jobPieces && w.batched < jobBytes {
		return nil
	}
	return w.sendBatch()
}

// sendBatch hands the collected pieces to the workers.
func (w *walker) sendBatch() error {
	batch := w.batch
	w.batch, w.batched = nil, 0
	if len(batch) == 0 {
		return nil
	}
	return w.hand(batch)
}

// send hands a piece, which lies in the slab, to the workers.
func (w *walker) send(s *slab, j job) error { return w.hand([]job{w.expect(s, j)}) }

// expect makes the file and the slab wait for the piece.
func (w *walker) expect(s *slab, j job) job {
	j.slab = s
	j.index = j.file.pieces
	j.file.pieces++
	j.file.waiting.Add(1)
	s.hold()
	return j
}

func (w *walker) hand(batch []job) error {
	select {
	case w.jobs <- batch:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

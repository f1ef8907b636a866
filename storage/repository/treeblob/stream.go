package treeblob

import (
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// ErrForgotten says that the tree cannot be read further: it was forgotten, or is damaged.
var ErrForgotten = errors.New("is not open for reading")

// Stream reads the entries of a tree that is too large to be in memory.
type Stream struct {
	scan  *scanner // nil while the tree is forgotten
	done  int64    // how far it has been read
	order order
	ended bool
}

// Offset is how much of the tree has been read, in bytes.
func (s *Stream) Offset() int64 { return s.done }

// Open starts reading the tree, or goes on where reading stopped: from must be the tree's bytes from Offset on.
func (s *Stream) Open(from io.Reader) error {
	s.scan = newScanner(from)
	if s.done > 0 {
		s.scan.read = s.done
		return nil
	}
	if err := s.scan.begin(); err != nil {
		s.Forget()
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// Forget frees the memory that reading takes. Before the next call of Next, call Open.
func (s *Stream) Forget() { s.scan = nil }

// Next is like a Reader's Next. After an error, or the last entry, the tree is forgotten.
func (s *Stream) Next() (Node, error) { return s.NextInParts(nil) }

// NextInParts is Next, but hands the pieces of the entry to piece, one by one, and leaves the entry's Content empty: a
// file may have very many pieces. The pieces come before the entry, which may turn out to be damaged.
func (s *Stream) NextInParts(piece func(format.ID)) (Node, error) {
	if s.ended {
		return Node{}, io.EOF
	}
	node, err := s.next(piece)
	if err != nil {
		s.ended = errors.Is(err, io.EOF)
		s.Forget()
		return Node{}, err
	}
	if err := s.order.next(&node); err != nil {
		return Node{}, err
	}
	return node, nil
}

// next reads the next entry; io.EOF after the last.
func (s *Stream) next(piece func(format.ID)) (node Node, err error) {
	if s.scan == nil {
		return Node{}, ErrForgotten
	}
	s.scan.piece = piece
	begun := s.order.begun
	c, err := s.scan.peek()
	comma := err == nil && begun && c == ','
	if comma {
		s.scan.at++
		c, err = s.scan.peek()
	}
	switch {
	case err != nil:
	case comma == (c == ']') && begun: // two entries without a comma between them, or a comma behind the last
		err = ErrNoTree
	case c == ']':
		if err = s.scan.end(); err == nil {
			return Node{}, io.EOF
		}
	default:
		err = s.scan.entry(&node)
	}
	s.done = s.scan.offset()
	if err != nil {
		return Node{}, fmt.Errorf("decode: %w", err)
	}
	return node, nil
}

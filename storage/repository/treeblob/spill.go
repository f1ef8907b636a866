package treeblob

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

const (
	// Large is the size, in bytes, up to which a tree is read and written as a whole: some 12,000 entries. Larger trees
	// are streams, which take more time for each entry, but no more memory for more entries.
	Large = 4 << 20
	// spillPart is how much of a large tree is compressed at once, in bytes.
	spillPart = 256 << 10
)

// spill is where the bytes of a large tree go while it grows: into a pack of its own. Only the bytes that will be
// stored are in memory.
type spill struct {
	text    growing // room for the IV, and the compressed bytes
	encoder io.WriteCloser
	hash    hash.Hash
	size    int
}

// growing collects everything that is written to it.
type growing []byte

func (g *growing) Write(p []byte) (int, error) {
	*g = append(*g, p...)
	return len(p), nil
}

// NewSpilling makes an Encoder for a tree that takes little memory, however large it becomes: it compresses the entries
// of a Large tree as they are added.
func NewSpilling(limit int, level compress.Level) *Encoder {
	return &Encoder{Limit: limit, spilling: true, level: level}
}

// Spilled reports whether the tree has become Large: then End, and not Bytes, returns the bytes to store.
func (e *Encoder) Spilled() bool { return e.spill != nil }

// Ended is a Large tree in the form to be stored.
type Ended struct {
	ID format.ID
	// Text is room for an initialisation vector, and the compressed bytes.
	Text []byte
	// Size is the length of the tree, in bytes.
	Size int
}

// End ends a tree that has Spilled. The encoder must not be used after that.
func (e *Encoder) End() (Ended, error) {
	e.Bytes()
	if err := e.spillOver(); err != nil {
		return Ended{}, err
	}
	s := e.spill
	if err := s.encoder.Close(); err != nil {
		return Ended{}, fmt.Errorf("compress a directory: %w", err)
	}
	return Ended{ID: format.ID(s.hash.Sum(nil)), Text: s.text, Size: s.size}, nil
}

// spillOver compresses the collected part of a large tree.
func (e *Encoder) spillOver() error {
	if e.spill == nil {
		s := &spill{text: make(growing, seal.IVSize, spillPart), hash: sha256.New()}
		encoder, err := compress.NewWriter(&s.text, e.level)
		if err != nil {
			return err
		}
		s.encoder, e.spill = encoder, s
	}
	_, _ = e.spill.hash.Write(e.buf) // never fails
	if _, err := e.spill.encoder.Write(e.buf); err != nil {
		return fmt.Errorf("compress a directory: %w", err)
	}
	e.spill.size += len(e.buf)
	e.buf = e.buf[:0]
	return nil
}

// spillIfLarge compresses the collected part if it is large enough.
func (e *Encoder) spillIfLarge() error {
	if !e.spilling || len(e.buf) <= Large && (e.spill == nil || len(e.buf) < spillPart) {
		return nil
	}
	return e.spillOver()
}

// size is how large the tree is so far.
func (e *Encoder) size() int {
	if e.spill == nil {
		return len(e.buf)
	}
	return e.spill.size + len(e.buf)
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TreeReader reads the entries of a directory one by one. It takes less memory than LoadTree, which matters for
// directories with very many entries.
type TreeReader struct {
	id    ID
	small *treeblob.Reader
	large *largeTree // instead of small
}

// ReadTree opens a directory for reading. It keeps a large directory as it is stored, and reads it as a stream.
func (r *Repository) ReadTree(ctx context.Context, id ID) (*TreeReader, error) {
	at, err := r.Locate(TreeBlob, id)
	if err != nil {
		return nil, err
	}
	t := &TreeReader{id: id}
	if at.PlainLength > treeblob.Large {
		t.large = &largeTree{}
		return t, r.openLarge(ctx, t, at)
	}
	data, err := r.loadTreeBlob(ctx, at, id)
	if err != nil {
		return nil, err
	}
	if t.small, err = treeblob.Open(data); err != nil {
		return nil, t.fail(err)
	}
	return t, nil
}

// Size is how many bytes of memory the tree takes while it is read; 0 after Forget.
func (t *TreeReader) Size() int {
	if t.large != nil {
		return t.large.size()
	}
	return t.small.Size()
}

// Forget frees that memory. Before the next call of Next, the tree must be remembered.
func (t *TreeReader) Forget() {
	if t.large != nil {
		t.large.forget()
		return
	}
	t.small.Forget()
}

// Remember reads a forgotten tree once more, so that reading goes on where it stopped.
func (r *Repository) Remember(ctx context.Context, t *TreeReader) error {
	at, err := r.Locate(TreeBlob, t.id)
	if err != nil {
		return err
	}
	if t.large != nil {
		return r.openLarge(ctx, t, at)
	}
	data, err := r.loadTreeBlob(ctx, at, t.id)
	if err != nil {
		return err
	}
	t.small.Remember(data) // the same bytes, because they have the same hash
	return nil
}

// LoadTree reads the entries of a directory that is known not to be large. It has checked all names: each is a plain
// name, and occurs once.
func (r *Repository) LoadTree(ctx context.Context, id ID) ([]treeblob.Node, error) {
	t, err := r.ReadTree(ctx, id)
	if err != nil {
		return nil, err
	}
	size := 0
	if t.large != nil {
		size = t.large.length
	} else {
		size = t.small.Size()
	}
	nodes, err := treeblob.All(t.next, size)
	if err != nil {
		return nil, t.fail(err)
	}
	return nodes, nil
}

// Next returns the next entry, in the order of names; io.EOF after the last. It checks names as LoadTree does.
func (t *TreeReader) Next() (treeblob.Node, error) {
	node, err := t.next()
	return node, t.failNext(err)
}

// NextInParts is Next, but hands the pieces of the entry to piece, one by one, and leaves the entry's Content empty: a
// file may have very many pieces. The pieces come before the entry, which may turn out to be damaged.
func (t *TreeReader) NextInParts(piece func(ID)) (treeblob.Node, error) {
	if t.large != nil {
		node, err := t.nextLarge(piece)
		return node, t.failNext(err)
	}
	node, err := t.small.Next()
	for _, id := range node.Content {
		piece(id)
	}
	node.Content = nil
	return node, t.failNext(err)
}

// failNext says which tree could not be read further.
func (t *TreeReader) failNext(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return t.fail(err)
	}
	return err
}

func (t *TreeReader) next() (treeblob.Node, error) {
	if t.large == nil {
		return t.small.Next()
	}
	return t.nextLarge(nil)
}

func (t *TreeReader) nextLarge(piece func(ID)) (treeblob.Node, error) {
	node, err := t.large.entries.NextInParts(piece)
	if err != nil {
		t.large.forget()
	}
	return node, err
}

func (t *TreeReader) fail(err error) error { return fmt.Errorf("tree %s: %w", t.id, err) }

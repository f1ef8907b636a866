package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	// streamedTree is up to what size a tree is read and written as a whole, in bytes: some 12,000 entries. Larger ones are
	// streams, which takes more time for each entry, and no more memory for more of them.
	streamedTree = 4 << 20
	// largeTreeCost is about what it takes to read a large tree beside its sealed bytes: most of it for decompression.
	largeTreeCost = 2 << 20
)

// errForgotten says that there is nothing to read on from: the tree was forgotten, or has been damaged.
var errForgotten = errors.New("is not open for reading")

// largeTree reads a directory of very many entries.
type largeTree struct {
	length int         // of the tree, in bytes
	blob   *sealedBlob // nil while it is forgotten, and at the end
	scan   *treeScanner
	done   int64 // how far it has been read
}

// openLarge opens a large tree where it was left, or at its beginning.
func (r *Repository) openLarge(ctx context.Context, t *TreeReader, at Location) (err error) {
	l := t.large
	l.length = int(at.PlainLength)
	if l.blob, err = r.fetchSealed(ctx, at, t.id); err != nil {
		err = r.eachCopy(ctx, blobRef{TreeBlob, t.id}, at, err, func(place Location) (err error) {
			l.blob, err = r.fetchSealed(ctx, place, t.id)
			return err
		})
	}
	if err != nil {
		return err
	}
	plain, err := l.blob.open()
	if err == nil {
		_, err = io.CopyN(io.Discard, plain, l.done)
	}
	if err != nil {
		l.forget()
		return t.fail(err)
	}
	l.scan = newTreeScanner(plain)
	if l.done > 0 {
		l.scan.read = l.done
		return nil
	}
	if err := l.scan.begin(); err != nil {
		l.forget()
		return t.fail(fmt.Errorf("decode: %w", err))
	}
	return nil
}

// next reads the next entry; io.EOF after the last.
func (l *largeTree) next(begun bool) (node Node, err error) {
	if l.scan == nil {
		return Node{}, errForgotten
	}
	c, err := l.scan.peek()
	comma := err == nil && begun && c == ','
	if comma {
		l.scan.at++
		c, err = l.scan.peek()
	}
	switch {
	case err != nil:
	case comma == (c == ']') && begun: // two entries without one between them, or one behind the last
		err = errTree
	case c == ']':
		if err = l.scan.end(); err == nil {
			return Node{}, io.EOF
		}
	default:
		err = l.scan.entry(&node)
	}
	l.done = l.scan.offset()
	if err != nil {
		return Node{}, fmt.Errorf("decode: %w", err)
	}
	return node, nil
}

func (l *largeTree) size() int {
	if l.blob == nil {
		return 0
	}
	return len(l.blob.memory) + largeTreeCost
}

func (l *largeTree) forget() {
	if l.blob != nil {
		l.blob.close()
	}
	l.blob, l.scan = nil, nil
}

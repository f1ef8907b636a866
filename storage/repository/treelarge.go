package repository

import (
	"context"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// largeTreeCost is about how much memory it takes to read a large tree, besides its sealed bytes: most of it for
// decompression.
const largeTreeCost = 2 << 20

// largeTree reads a directory with very many entries.
type largeTree struct {
	length  int         // of the tree, in bytes
	blob    *sealedBlob // nil while it is forgotten, and at the end
	entries treeblob.Stream
}

// openLarge opens a large tree where reading stopped, or at its beginning.
func (r *Repository) openLarge(ctx context.Context, t *TreeReader, at packfile.Location) (err error) {
	l := t.large
	l.length = int(at.PlainLength)
	if l.blob, err = r.fetchSealed(ctx, at, t.id); err != nil {
		err = r.eachCopy(ctx, blobRef{TreeBlob, t.id}, at, err, func(place packfile.Location) (err error) {
			l.blob, err = r.fetchSealed(ctx, place, t.id)
			return err
		})
	}
	if err != nil {
		return err
	}
	plain, err := l.blob.open()
	if err == nil {
		_, err = io.CopyN(io.Discard, plain, l.entries.Offset())
	}
	if err == nil {
		err = l.entries.Open(plain)
	}
	if err != nil {
		l.forget()
		return t.fail(err)
	}
	return nil
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
	l.blob = nil
	l.entries.Forget()
}

package treeblob

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// Encoder builds the bytes of a tree blob from nodes that are added in the order of their names.
type Encoder struct {
	// Limit is how large the tree may become, in bytes; 0 means as large as any tree may be.
	Limit int

	buf  []byte
	last string

	spilling bool // whether to spill if it becomes large
	level    compress.Level
	spill    *spill // what is not in buf any more; nil if buf has everything
}

const (
	treeBegin = `{"nodes":[`
	treeEnd   = "]}\n"
)

// ErrFull says that a tree has no room for an entry.
var ErrFull = errors.New("its directory's list of entries, and of the pieces of its files, would be larger than 1 GiB")

// MaxContent is how many data blobs a file can have: the tree of its directory, which is a blob itself, names all of
// them.
const MaxContent = (format.MaxBlobSize - 1<<20) / idText

// idText is how many bytes an id takes in a list.
const idText = 2*len(format.ID{}) + len(`"",`)

// ErrNodeTooLarge says that an entry takes more room, besides the list of its pieces, than any entry may.
var ErrNodeTooLarge = fmt.Errorf("its name, target and extended attributes take more than %d MiB", MaxNodeText>>20)

// Add appends a node. Nodes must come sorted by name, each name once. Add returns ErrFull for a node that no longer
// fits, and ErrNodeTooLarge for one that is too large for any tree, and leaves both out.
func (e *Encoder) Add(node Node) error {
	if err := node.CheckName(); err != nil {
		return err
	}
	before := len(e.buf)
	if e.size() == 0 {
		e.buf = append(e.buf, treeBegin...)
	} else {
		if node.Name <= e.last {
			return fmt.Errorf("entry %.80q does not come after %.80q", node.Name, e.last)
		}
		e.buf = append(e.buf, ',')
	}
	buf, err := node.appendJSON(e.buf)
	if err != nil {
		return fmt.Errorf("encode entry %.80q: %w", node.Name, err)
	}
	written := len(buf) - len(e.buf)
	e.buf = buf[:before]
	switch {
	case written-len(node.Content)*idText > MaxNodeText:
		return ErrNodeTooLarge
	case e.size()-before+len(buf)+len(treeEnd) > cmp.Or(e.Limit, format.MaxBlobSize):
		return ErrFull
	}
	e.buf, e.last = buf, node.Name
	return e.spillIfLarge()
}

// Bytes ends the tree and returns it, unless it has become Large. The encoder must not be used after that.
func (e *Encoder) Bytes() []byte {
	if e.size() == 0 {
		e.buf = append(e.buf, treeBegin...)
	}
	e.buf = append(e.buf, treeEnd...)
	return e.buf
}

package repository

import (
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// MaxDepth is how many directories may lie within each other below the root of a volume. Each stays open while its
// entries are saved or restored, so a tree of any depth would need any number of descriptors.
const MaxDepth = 4096

// ErrTooDeep says that a directory lies deeper than MaxDepth.
var ErrTooDeep = fmt.Errorf("lies deeper than %d directories, which is more than can be saved and restored", MaxDepth)

// maxTrees is how many trees lie within each other at most: the root of the repository snapshot, the root of the
// volume, and MaxDepth directories below that.
const maxTrees = MaxDepth + 2

// errNoTree says that a directory lacks its tree.
var errNoTree = errors.New("is damaged: it is a directory without a tree")

// Judge says whether an entry can be restored, as far as its tree and the index tell. A restore leaves out the entries
// that Judge refuses, and a check calls them damage. For a file, Judge returns the size of the content. An error that
// is Undecided is no judgement.
func (r *Repository) Judge(n *treeblob.Node) (size int64, err error) {
	if err := judgeType(n); err != nil || n.Type != treeblob.File {
		return 0, err
	}
	sum := contentSum{index: r.index}
	for _, id := range n.Content {
		err := sum.add(id)
		if err != nil && !errors.Is(err, ErrNoBlob) {
			return 0, err
		}
		if err != nil {
			return 0, fmt.Errorf("is damaged: a piece of it is %w: %s blob %s", err, DataBlob, id)
		}
	}
	return int64(n.Size), sum.judge(n)
}

// judgeType is the part of the judgement that does not need the index.
func judgeType(n *treeblob.Node) error {
	switch n.Type {
	case treeblob.Dir:
		if n.Subtree == nil {
			return errNoTree
		}
	case treeblob.File, treeblob.Symlink, treeblob.Device, treeblob.CharDevice, treeblob.Fifo, treeblob.Socket:
	default:
		return fmt.Errorf("is damaged, or of a later format: its type %.32q is not known", string(n.Type))
	}
	return nil
}

// contentSum adds up the sizes of a file's pieces.
type contentSum struct {
	index *blobindex.Index
	size  uint64
	empty *ID // the first empty piece
}

// add looks a piece up. It returns ErrNoBlob if the index does not have the piece.
func (s *contentSum) add(id ID) error {
	at, known, err := s.index.Find(DataBlob, id)
	if err == nil && !known {
		err = ErrNoBlob
	}
	if err != nil {
		return err
	}
	if at.PlainLength == 0 && s.empty == nil {
		empty := id // taking the address of id itself would cost memory for each piece
		s.empty = &empty
	}
	s.size += uint64(at.PlainLength)
	return nil
}

// judge compares the sum with the entry's size.
func (s *contentSum) judge(n *treeblob.Node) error {
	if s.empty != nil { // nobody stores empty pieces; naming one very often takes memory and time here, and no room in a bucket
		return fmt.Errorf("is damaged: its content names the empty blob %s", s.empty)
	}
	if s.size != n.Size {
		return fmt.Errorf("is damaged: its content has %d bytes, its size is said to be %d", s.size, n.Size)
	}
	return nil
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// blobSet is a set of blobs of both types.
type blobSet struct{ data, tree map[ID]struct{} }

func newBlobSet() blobSet { return blobSet{data: map[ID]struct{}{}, tree: map[ID]struct{}{}} }

func (s blobSet) of(t BlobType) map[ID]struct{} {
	if t == TreeBlob {
		return s.tree
	}
	return s.data
}

// add reports whether the blob is new to the set.
func (s blobSet) add(t BlobType, id ID) bool {
	blobs := s.of(t)
	if _, known := blobs[id]; known {
		return false
	}
	blobs[id] = struct{}{}
	return true
}

// walk goes through trees, once through each.
type walk struct {
	repo *Repository
	seen blobSet
	// problem learns what cannot be loaded, or is not in the index. The first error that it returns ends the walk.
	problem func(BlobType, ID, error) error
	// judge says that entries that a restore would refuse are problems too.
	judge bool

	// heights has, for each tree that contains trees, how many lie within each other, including itself. Only a judging
	// walk keeps it.
	heights map[ID]int
	stack   []visit
}

// visit is a tree that has been read, while not all trees in it have been read.
type visit struct {
	id     ID
	inside []ID // the trees in it, in order
	next   int  // index in inside of the next tree to look at
	height int
}

// run visits every tree below the roots, and adds every blob that it meets to seen. The stack is a slice, so that a
// tree nested as deeply as somebody likes costs memory, and causes no crash.
func (w *walk) run(ctx context.Context, roots []ID) error {
	w.heights = map[ID]int{}
	for _, root := range roots {
		if err := w.enter(ctx, root); err != nil {
			return err
		}
		for len(w.stack) > 0 {
			top := &w.stack[len(w.stack)-1]
			if top.next == len(top.inside) {
				w.leave()
				continue
			}
			top.next++
			if err := w.enter(ctx, top.inside[top.next-1]); err != nil {
				return err
			}
		}
		if height := w.heights[root]; height > maxTrees {
			if err := w.problem(TreeBlob, root, fmt.Errorf("a directory in it %w", ErrTooDeep)); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter reads a tree that has not been seen yet, and opens it.
func (w *walk) enter(ctx context.Context, id ID) error {
	if !w.seen.add(TreeBlob, id) {
		w.above(max(w.heights[id], 1))
		return nil
	}
	open := visit{id: id, height: 1}
	damage, err := w.read(ctx, &open)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && damage != nil {
		err = w.problem(TreeBlob, id, damage)
	}
	w.stack = append(w.stack, open)
	return err
}

// leave closes the innermost tree.
func (w *walk) leave() {
	last := len(w.stack) - 1
	done := w.stack[last]
	w.stack[last] = visit{}
	w.stack = w.stack[:last]
	if w.judge && done.height > 1 {
		w.heights[done.id] = done.height
	}
	w.above(done.height)
}

// above passes the height of a tree to the tree that contains it.
func (w *walk) above(height int) {
	if last := len(w.stack) - 1; last >= 0 {
		w.stack[last].height = max(w.stack[last].height, height+1)
	}
}

// read goes through the entries of a tree. damage says what is wrong with the tree, or with its first entry that cannot
// be restored; err ends the walk.
func (w *walk) read(ctx context.Context, tree *visit) (damage, err error) {
	reader, err := w.repo.ReadTree(ctx, tree.id)
	if err != nil {
		return err, nil
	}
	more := 0 // further entries that cannot be restored
	pieces := &walkedPieces{walk: w}
	add := pieces.add
	for {
		pieces.begin()
		node, err := reader.NextInParts(add)
		if errors.Is(err, io.EOF) {
			break
		}
		if lost := pieces.report(node.Name); lost != nil {
			return nil, lost
		}
		if err != nil {
			return err, nil
		}
		refusal := w.judgeEntry(&node, pieces)
		switch {
		case refusal != nil && damage == nil:
			damage = fmt.Errorf("%.80q: %w", node.Name, refusal)
		case refusal != nil:
			more++
		}
		if node.Subtree != nil {
			tree.inside = append(tree.inside, *node.Subtree)
		}
	}
	if more > 0 {
		damage = fmt.Errorf("%w; and %d entries more that cannot be restored", damage, more)
	}
	return damage, nil
}

// judgeEntry says why an entry cannot be restored, if that matters to the walk.
func (w *walk) judgeEntry(node *treeblob.Node, pieces *walkedPieces) error {
	refusal := judgeType(node)
	if !w.judge && !errors.Is(refusal, errNoTree) { // the entry's needs are known all the same
		return nil
	}
	if refusal == nil && node.Type == treeblob.File && !pieces.missing {
		refusal = pieces.sum.judge(node)
	}
	return refusal
}

// walkedPieces is what a walk must know about the pieces of an entry. It meets them before the entry, and does not keep
// them.
type walkedPieces struct {
	walk    *walk
	sum     contentSum
	missing bool
	lost    []lostPiece // missing pieces that were not met before
}

type lostPiece struct {
	id  ID
	err error
}

// begin forgets the pieces of the last entry.
func (p *walkedPieces) begin() {
	p.sum, p.missing, p.lost = contentSum{index: p.walk.repo.index}, false, p.lost[:0]
}

// add takes in the next piece.
func (p *walkedPieces) add(id ID) {
	fresh := p.walk.seen.add(DataBlob, id)
	if !fresh && !p.walk.judge {
		return
	}
	err := p.sum.add(id)
	p.missing = p.missing || err != nil
	if err != nil && fresh {
		p.lost = append(p.lost, lostPiece{id, err})
	}
}

// report reports the missing pieces. An error ends the walk.
func (p *walkedPieces) report(file string) error {
	for _, piece := range p.lost {
		err := fmt.Errorf("a piece of the file %.80q: %w", file, piece.err)
		if file == "" { // only its pieces could be read
			err = fmt.Errorf("a piece of a damaged entry: %w", piece.err)
		}
		if err := p.walk.problem(DataBlob, piece.id, err); err != nil {
			return err
		}
	}
	return nil
}

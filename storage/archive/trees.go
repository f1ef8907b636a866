package archive

import (
	"context"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// treesBytes bounds the bytes of trees in memory, besides the largest one and the one that is being read.
const treesBytes = 64 << 20

// openTrees are the trees of the directories that the planner is in, each within the one before. Trees may be large,
// and a repository may have thousands of such trees. If they take too much memory, openTrees lets the outermost go, and
// reads them again when their turn comes.
type openTrees struct {
	repo  *repository.Repository
	limit int
	open  []*repository.TreeReader
	bytes int
}

// enter opens a tree below the one that is open.
func (o *openTrees) enter(ctx context.Context, id repository.ID) (*repository.TreeReader, error) {
	tree, err := o.repo.ReadTree(ctx, id)
	if err != nil {
		return nil, err
	}
	o.open = append(o.open, tree)
	o.bytes += tree.Size()
	o.shrink()
	return tree, nil
}

// shrink lets trees go. The largest stays: it is likely to be needed soonest, and whatever displaces it takes as long to
// read, each time.
func (o *openTrees) shrink() {
	if o.bytes <= o.limit {
		return
	}
	largest := 0
	for i, tree := range o.open {
		if tree.Size() > o.open[largest].Size() {
			largest = i
		}
	}
	for i, tree := range o.open[:len(o.open)-1] {
		if o.bytes-o.open[largest].Size() <= o.limit {
			return
		}
		if i != largest {
			o.bytes -= tree.Size()
			tree.Forget()
		}
	}
}

// leave ends the innermost tree, and makes sure that the tree above can be read on.
func (o *openTrees) leave(ctx context.Context) error {
	last := len(o.open) - 1
	o.bytes -= o.open[last].Size()
	o.open[last] = nil
	if o.open = o.open[:last]; last == 0 || o.open[last-1].Size() > 0 {
		return nil
	}
	if err := o.repo.Remember(ctx, o.open[last-1]); err != nil {
		return err
	}
	o.bytes += o.open[last-1].Size()
	o.shrink()
	return nil
}

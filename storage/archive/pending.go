package archive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// pendingDir is a directory of which not everything has been saved.
type pendingDir struct {
	parent  *pendingDir
	node    *repository.Node // the directory itself, among the nodes of parent
	nodes   []*repository.Node
	before  *repository.ID // its tree in the last backup
	counts  *dirCounts
	waiting atomic.Int32 // entries that are not saved, and the walker while it is in here
}

// dirCounts compares directories with those of the last backup.
type dirCounts struct{ added, changed, unmodified atomic.Int64 }

func (c *dirCounts) count(before *repository.ID, now repository.ID) {
	switch {
	case before == nil:
		c.added.Add(1)
	case *before == now:
		c.unmodified.Add(1)
	default:
		c.changed.Add(1)
	}
}

func newPendingDir(parent *pendingDir, node *repository.Node) *pendingDir {
	d := &pendingDir{parent: parent, node: node}
	d.waiting.Store(1)
	return d
}

// add appends a node; only the walker does. Nodes of files and directories are completed by others later.
func (d *pendingDir) add(node *repository.Node) { d.nodes = append(d.nodes, node) }

// treeSaver stores a directory's tree.
type treeSaver interface {
	SaveBlob(context.Context, repository.BlobType, []byte) (repository.ID, error)
}

// done says that one entry, or the walker, is through. The last one saves the tree, which in turn may complete the
// parent.
func (d *pendingDir) done(ctx context.Context, saver treeSaver) error {
	for ; d != nil && d.waiting.Add(-1) == 0; d = d.parent {
		var tree repository.TreeEncoder
		for _, node := range d.nodes {
			if node.Type == "" { // dropped
				continue
			}
			if err := tree.Add(*node); err != nil {
				return fmt.Errorf("encode directory %q: %w", d.node.Name, err)
			}
		}
		d.nodes = nil
		id, err := saver.SaveBlob(ctx, repository.TreeBlob, tree.Bytes())
		if err != nil {
			return fmt.Errorf("save directory %q: %w", d.node.Name, err)
		}
		d.node.Subtree = &id
		if d.counts != nil {
			d.counts.count(d.before, id)
		}
	}
	return nil
}

// drop takes a node that has been added out of the tree again.
func drop(node *repository.Node) { node.Type = "" }

// pendingFile is a file of which not every piece has been saved.
type pendingFile struct {
	dir     *pendingDir
	node    *repository.Node
	waiting atomic.Int32 // pieces that are not saved, and the walker while it reads
	pieces  int          // how many there are so far; the walker's

	mu        sync.Mutex
	content   []repository.ID
	complete  bool
	followers []follower
}

// follower is another name of a file, which gets the same content.
type follower struct {
	dir  *pendingDir
	node *repository.Node
}

// follow gives node, which is in dir, the content of the file: now, or as soon as all of it is known.
func (f *pendingFile) follow(dir *pendingDir, node *repository.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.complete {
		node.Content = f.node.Content
		return
	}
	dir.waiting.Add(1)
	f.followers = append(f.followers, follower{dir: dir, node: node})
}

func newPendingFile(dir *pendingDir, node *repository.Node) *pendingFile {
	f := &pendingFile{dir: dir, node: node}
	f.waiting.Store(1)
	dir.waiting.Add(1)
	return f
}

// set notes the id of the i-th piece.
func (f *pendingFile) set(i int, id repository.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.content) <= i {
		f.content = append(f.content, repository.ID{})
	}
	f.content[i] = id
}

// done says that one piece, or the walker, is through.
func (f *pendingFile) done(ctx context.Context, saver treeSaver) error {
	if f.waiting.Add(-1) > 0 {
		return nil
	}
	for _, other := range f.end() {
		if err := other.dir.done(ctx, saver); err != nil {
			return err
		}
	}
	return f.dir.done(ctx, saver)
}

// end gives all names of the file its content, and returns those that have waited for it.
func (f *pendingFile) end() []follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.node.Content = f.content; f.content == nil {
		f.node.Content = []repository.ID{} // an empty file has content, and it is empty
	}
	for _, other := range f.followers {
		other.node.Content = f.node.Content
	}
	followers := f.followers
	f.complete, f.followers = true, nil
	return followers
}

package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// blobSaver stores pieces of files, and trees.
type blobSaver interface {
	SaveBlob(context.Context, repository.BlobType, []byte) (repository.ID, error)
}

// trees is where directories are saved. It compares them with those of the last backup.
type trees struct {
	blobSaver
	limit    int // of one, in bytes; 0 is as large as a tree may be
	problems *problems

	added, changed, unmodified atomic.Int64
}

func (t *trees) count(before *repository.ID, now repository.ID) {
	switch {
	case before == nil:
		t.added.Add(1)
	case *before == now:
		t.unmodified.Add(1)
	default:
		t.changed.Add(1)
	}
}

// pendingDir is a directory of which not everything has been saved.
type pendingDir struct {
	parent  *pendingDir      // nil for the one that holds the volume's root
	node    *repository.Node // the directory itself, among the nodes of parent
	nodes   []*repository.Node
	before  *repository.ID // its tree in the last backup
	waiting atomic.Int32   // entries that are not saved, and the walker while it is in here
}

func newPendingDir(parent *pendingDir, node *repository.Node) *pendingDir {
	d := &pendingDir{parent: parent, node: node}
	d.waiting.Store(1)
	return d
}

// join is the path of an entry within the volume.
func (d *pendingDir) join(name string) string {
	names := []string{name}
	for ; d.parent != nil && d.parent.parent != nil; d = d.parent {
		names = append(names, d.node.Name)
	}
	slices.Reverse(names)
	return path.Join(names...)
}

// add appends a node; only the walker does. Nodes of files and directories are completed by others later.
func (d *pendingDir) add(node *repository.Node) { d.nodes = append(d.nodes, node) }

// done says that one entry, or the walker, is through. The last one saves the tree, which in turn may complete the
// parent.
func (d *pendingDir) done(ctx context.Context, to *trees) error {
	for ; d != nil && d.waiting.Add(-1) == 0; d = d.parent {
		id, err := d.save(ctx, to)
		if err != nil {
			return fmt.Errorf("save directory %q: %w", cmp.Or(shortenFront(d.join("")), "."), err)
		}
		d.nodes = nil
		d.node.Subtree = &id
		if d.parent != nil {
			to.count(d.before, id)
		}
	}
	return nil
}

// save saves the tree, without the entries that it has no room for.
func (d *pendingDir) save(ctx context.Context, to *trees) (repository.ID, error) {
	tree := repository.TreeEncoder{Limit: to.limit}
	for _, node := range d.nodes {
		if node.Type == "" { // dropped
			continue
		}
		err := tree.Add(*node)
		if errors.Is(err, repository.ErrTreeFull) {
			to.problems.add(d.join(node.Name), err)
			continue
		}
		if err != nil {
			return repository.ID{}, err
		}
	}
	return to.SaveBlob(ctx, repository.TreeBlob, tree.Bytes())
}

// drop takes a node that has been added out of the tree again.
func drop(node *repository.Node) { node.Type = "" }

// pendingFile is a file of which not every piece has been saved.
type pendingFile struct {
	dir     *pendingDir
	node    *repository.Node
	waiting atomic.Int32 // pieces that are not saved, and the walker while it reads
	pieces  int          // how many there are so far; the walker's
	sparse  bool         // one of them tells restic that the file has holes; the walker's
	content *content
}

func newPendingFile(dir *pendingDir, node *repository.Node) *pendingFile {
	f := &pendingFile{dir: dir, node: node, content: &content{}}
	f.waiting.Store(1)
	dir.waiting.Add(1)
	return f
}

// done says that one piece, or the walker, is through.
func (f *pendingFile) done(ctx context.Context, to *trees) error {
	if f.waiting.Add(-1) > 0 {
		return nil
	}
	for _, other := range f.content.end(f.node) {
		if err := other.dir.done(ctx, to); err != nil {
			return err
		}
	}
	return f.dir.done(ctx, to)
}

// content is what a file consists of, under all of its names. It is all that is kept of it for names to come.
type content struct {
	mu        sync.Mutex
	complete  bool
	ids       []repository.ID
	followers []follower
}

// follower is another name of a file, which gets the same content.
type follower struct {
	dir  *pendingDir
	node *repository.Node
}

// knownContent is that of a file that is not read.
func knownContent(ids []repository.ID) *content { return &content{ids: ids, complete: true} }

// follow gives the content to node, which is in dir: now, or as soon as all of it is known.
func (c *content) follow(dir *pendingDir, node *repository.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complete {
		node.Content = c.ids
		return
	}
	dir.waiting.Add(1)
	c.followers = append(c.followers, follower{dir: dir, node: node})
}

// set notes the id of the i-th piece.
func (c *content) set(i int, id repository.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.ids) <= i {
		c.ids = append(c.ids, repository.ID{})
	}
	c.ids[i] = id
}

// end gives the content to the file that it was read from, and to its other names, and returns those that have waited.
func (c *content) end(node *repository.Node) []follower {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil || node.Type == "" { // dropped
		c.ids = []repository.ID{} // an empty file has content, and it is empty
	}
	node.Content = c.ids
	for _, other := range c.followers {
		other.node.Content = c.ids
	}
	followers := c.followers
	c.complete, c.followers = true, nil
	return followers
}

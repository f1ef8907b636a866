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
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
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

// treeSaver stores trees of any size in little memory.
type treeSaver interface {
	NewTree(limit int) *treeblob.Encoder
	SaveTree(context.Context, *treeblob.Encoder) (repository.ID, error)
}

// newTree begins a directory.
func (t *trees) newTree() *treeblob.Encoder {
	if saver, ok := t.blobSaver.(treeSaver); ok {
		return saver.NewTree(t.limit)
	}
	return &treeblob.Encoder{Limit: t.limit}
}

func (t *trees) saveTree(ctx context.Context, tree *treeblob.Encoder) (repository.ID, error) {
	if saver, ok := t.blobSaver.(treeSaver); ok {
		return saver.SaveTree(ctx, tree)
	}
	return t.SaveBlob(ctx, repository.TreeBlob, tree.Bytes())
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
	parent  *pendingDir    // nil for the one that holds the volume's root
	node    *treeblob.Node // the directory itself, among the nodes of parent
	listed  *pendingNode   // the same
	before  *repository.ID // its tree in the last backup
	waiting atomic.Int32   // entries that are not saved, and the walker while it is in here
	to      *trees

	// nodes are those that are not in tree yet, which takes the first of them as they are completed. Both are the walker's, and
	// then belong to whoever brings the last entry.
	nodes  []*pendingNode
	tree   *treeblob.Encoder
	failed error // what ended tree
}

// nodesKept is how many nodes of a directory are kept before those that are complete go to its tree. What is kept of a node
// takes several times as much memory as what is stored.
const nodesKept = 1024

// pendingNode is an entry of a directory.
type pendingNode struct {
	*treeblob.Node
	open atomic.Bool // its content, or its tree, is not known yet
}

func newPendingDir(parent *pendingDir, node *treeblob.Node) *pendingDir {
	d := &pendingDir{parent: parent, node: node}
	if parent != nil {
		d.listed, d.to = parent.expect(node), parent.to
	}
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

// add appends a node; only the walker does. Nodes of files and directories are completed by others later, if expect says so
// before the next one is added.
func (d *pendingDir) add(node *treeblob.Node) {
	if d.to != nil && len(d.nodes) >= nodesKept {
		d.encode()
	}
	d.nodes = append(d.nodes, &pendingNode{Node: node})
}

// expect says that the node that was added last is to be completed, and gives what is to be told of that.
func (d *pendingDir) expect(node *treeblob.Node) *pendingNode {
	if last := len(d.nodes) - 1; last >= 0 && d.nodes[last].Node == node {
		d.nodes[last].open.Store(true)
		return d.nodes[last]
	}
	return &pendingNode{Node: node}
}

// encode moves nodes to the tree, up to the first that is not complete. Entries that the tree has no room for are left out.
func (d *pendingDir) encode() {
	if d.tree == nil {
		d.tree = d.to.newTree()
	}
	moved := 0
	for _, node := range d.nodes {
		if node.open.Load() || d.failed != nil {
			break
		}
		moved++
		if node.Type == "" { // dropped
			continue
		}
		err := d.tree.Add(*node.Node)
		if errors.Is(err, treeblob.ErrFull) || errors.Is(err, treeblob.ErrNodeTooLarge) {
			d.to.problems.add(d.join(node.Name), err)
		} else {
			d.failed = err
		}
	}
	kept := copy(d.nodes, d.nodes[moved:])
	clear(d.nodes[kept:])
	d.nodes = d.nodes[:kept]
}

// done says that one entry, or the walker, is through. The last one saves the tree, which in turn may complete the
// parent.
func (d *pendingDir) done(ctx context.Context, to *trees) error {
	for ; d != nil && d.waiting.Add(-1) == 0; d = d.parent {
		id, err := d.save(ctx, to)
		if err != nil {
			return fmt.Errorf("save directory %q: %w", cmp.Or(shortenFront(d.join("")), "."), err)
		}
		d.nodes, d.tree = nil, nil
		d.node.Subtree = &id
		if d.parent != nil {
			to.count(d.before, id)
			d.listed.open.Store(false)
		}
	}
	return nil
}

// save saves the tree.
func (d *pendingDir) save(ctx context.Context, to *trees) (repository.ID, error) {
	d.to = to
	if d.encode(); d.failed != nil {
		return repository.ID{}, d.failed
	}
	return to.saveTree(ctx, d.tree)
}

// drop takes a node that has been added out of the tree again.
func drop(node *treeblob.Node) { node.Type = "" }

// pendingFile is a file of which not every piece has been saved.
type pendingFile struct {
	dir     *pendingDir
	node    *treeblob.Node
	listed  *pendingNode // the same, in its directory
	waiting atomic.Int32 // pieces that are not saved, and the walker while it reads
	pieces  int          // how many there are so far; the walker's
	sparse  bool         // one of them tells restic that the file has holes; the walker's
	content *content
}

func newPendingFile(dir *pendingDir, node *treeblob.Node) *pendingFile {
	f := &pendingFile{dir: dir, node: node, listed: dir.expect(node), content: &content{}}
	f.waiting.Store(1)
	dir.waiting.Add(1)
	return f
}

// done says that one piece, or the walker, is through.
func (f *pendingFile) done(ctx context.Context, to *trees) error {
	if f.waiting.Add(-1) > 0 {
		return nil
	}
	others := f.content.end(f.node)
	f.listed.open.Store(false)
	for _, other := range others {
		other.node.open.Store(false)
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
	node *pendingNode
}

// knownContent is that of a file that is not read.
func knownContent(ids []repository.ID) *content { return &content{ids: ids, complete: true} }

// follow gives the content to node, which was added to dir last: now, or as soon as all of it is known.
func (c *content) follow(dir *pendingDir, node *treeblob.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complete {
		node.Content = c.ids
		return
	}
	dir.waiting.Add(1)
	c.followers = append(c.followers, follower{dir: dir, node: dir.expect(node)})
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
func (c *content) end(node *treeblob.Node) []follower {
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

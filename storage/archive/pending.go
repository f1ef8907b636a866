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

// trees saves directories, and compares them with those of the last backup.
type trees struct {
	blobSaver
	limit    int // of one tree, in bytes; 0 means as large as a tree may be
	problems *problems

	added, changed, unmodified atomic.Int64
}

// treeSaver stores trees of any size in little memory.
type treeSaver interface {
	NewTree(limit int) *treeblob.Encoder
	SaveTree(context.Context, *treeblob.Encoder) (repository.ID, error)
}

// newTree begins the tree of a directory.
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

// pendingDir is a directory that is not saved completely.
type pendingDir struct {
	parent  *pendingDir    // nil for the one that holds the volume's root
	node    *treeblob.Node // the directory itself, among the nodes of parent
	listed  *pendingNode   // the same entry, in its pendingNode
	before  *repository.ID // its tree in the last backup
	waiting atomic.Int32   // entries that are not saved, plus one while the walker is in here
	to      *trees

	// nodes are the entries that are not in tree yet; tree takes the first of them as they are completed. nodes and
	// tree belong to the walker, and later to whoever completes the last entry.
	nodes  []*pendingNode
	tree   *treeblob.Encoder
	failed error // the error that ended tree
}

// nodesKept is how many nodes of a directory are kept before completed ones go to its tree. A kept node takes several
// times as much memory as a stored one.
const nodesKept = 1024

// pendingNode is an entry of a directory.
type pendingNode struct {
	*treeblob.Node
	open atomic.Bool // its content, or its tree, is still unknown
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

// add appends a node; only the walker calls it. Others complete the nodes of files and directories later, if the walker
// calls expect before it adds the next node.
func (d *pendingDir) add(node *treeblob.Node) {
	if d.to != nil && len(d.nodes) >= nodesKept {
		d.encode()
	}
	d.nodes = append(d.nodes, &pendingNode{Node: node})
}

// expect says that the node added last will be completed later, and returns the entry to tell about that.
func (d *pendingDir) expect(node *treeblob.Node) *pendingNode {
	if last := len(d.nodes) - 1; last >= 0 && d.nodes[last].Node == node {
		d.nodes[last].open.Store(true)
		return d.nodes[last]
	}
	return &pendingNode{Node: node}
}

// encode moves nodes to the tree, up to the first incomplete one. It leaves out entries that the tree has no room for.
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

// done says that one entry, or the walker, has finished. The last one saves the tree, which in turn may complete the
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

// drop removes a node that was already added.
func drop(node *treeblob.Node) { node.Type = "" }

// pendingFile is a file that is not saved completely.
type pendingFile struct {
	dir     *pendingDir
	node    *treeblob.Node
	listed  *pendingNode // the same, in its directory
	waiting atomic.Int32 // pieces that are not saved, plus one while the walker reads
	pieces  int          // how many there are so far; only the walker uses it
	sparse  bool         // one of them tells restic that the file has holes; only the walker uses it
	content *content
}

func newPendingFile(dir *pendingDir, node *treeblob.Node) *pendingFile {
	f := &pendingFile{dir: dir, node: node, listed: dir.expect(node), content: &content{}}
	f.waiting.Store(1)
	dir.waiting.Add(1)
	return f
}

// done says that one piece, or the walker, has finished.
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

// content is the list of a file's pieces, shared by all of its names. It is all that is kept of a file for names that
// come later.
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

// knownContent is the content of a file that is not read.
func knownContent(ids []repository.ID) *content { return &content{ids: ids, complete: true} }

// follow gives the content to node, the one added to dir last: now, or as soon as the content is known completely.
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

// end gives the content to the file that it was read from, and to the file's other names, and returns the names that
// waited.
func (c *content) end(node *treeblob.Node) []follower {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil || node.Type == "" { // dropped
		c.ids = []repository.ID{} // an empty file has a content, which is empty
	}
	node.Content = c.ids
	for _, other := range c.followers {
		other.node.Content = c.ids
	}
	followers := c.followers
	c.complete, c.followers = true, nil
	return followers
}

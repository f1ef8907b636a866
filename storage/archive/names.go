package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// identity tells which entries are names of one file: entries with one inode that are the same in the backup. The inode
// alone does not tell: in a volume in use, an inode may be given to another file, or be changed, between the backup's
// visits to two names. An identity is a part of a hash, because there may be very many.
type identity [16]byte

// identify returns the identity of an entry, made from everything that a restore gives the entry except labels; false
// if the entry has only one name.
func identify(node *treeblob.Node) (identity, bool) {
	if node.Links < 2 || node.DeviceID == 0 {
		return identity{}, false
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %q %d %d %d %d %d %d %d %q\n", node.DeviceID, node.Inode, node.Type, node.Mode, node.UID, node.GID,
		node.ModTime.Unix(), node.ModTime.Nanosecond(), node.Size, node.Device, node.LinkTarget)
	for _, attribute := range node.ExtendedAttributes {
		if !isLabel(attribute.Name) { // a mount can give its own label, a different one for each mover
			fmt.Fprintf(h, "%q %q\n", attribute.Name, attribute.Value)
		}
	}
	for i := range node.Content {
		_, _ = h.Write(node.Content[i][:])
	}
	return identity(h.Sum(nil)), true
}

// firstName is the entry that others are linked to. It is kept until all of them have been seen, which may be never, so
// it is small.
type firstName struct {
	dir  *place
	name string
	left uint64 // links to it that have not been seen; only the planner uses it

	mu     sync.Mutex
	ended  bool // nothing more is written to it
	failed bool
	others []otherName // names that wait for the end
}

// otherName is a hard link to a file that is not complete yet.
type otherName struct {
	dir  *targetDir
	name string
}

// also notes another name, which shares the file's fate. It returns false if the file could not be restored and was
// removed.
func (n *firstName) also(dir *targetDir, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return !n.failed
	}
	dir.waiting.Add(1)
	n.others = append(n.others, otherName{dir: dir, name: name})
	return true
}

// end marks the file as complete or failed, and returns the names that waited for that. A nil firstName has none.
func (n *firstName) end(failed bool) []otherName {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	others := n.others
	n.ended, n.failed, n.others = true, failed, nil
	return others
}

// first notes an entry that is about to be made, if that entry has other names.
func (p *planner) first(dir *targetDir, node *treeblob.Node) *firstName {
	id, ok := identify(node)
	if !ok {
		return nil
	}
	n := &firstName{dir: dir.place, name: node.Name, left: node.Links - 1}
	p.names[id] = n
	return n
}

// link makes an entry that is another name of an entry made earlier. It returns false if there is no such entry.
func (p *planner) link(dir *targetDir, node *treeblob.Node) (bool, error) {
	id, ok := identify(node)
	first := p.names[id]
	if !ok || first == nil {
		return false, nil
	}
	if first.left--; first.left == 0 {
		delete(p.names, id)
	}
	firstDir, err := openPlace(p.root, first.dir)
	if err == nil {
		defer closeFD(firstDir)
		err = p.create(dir, node.Name, func() error {
			return unix.Linkat(firstDir, first.name, dir.fd, node.Name, 0)
		})
	}
	if err == nil && !first.also(dir, node.Name) { // the first entry was removed just after
		if err = removeAt(dir.fd, node.Name, p.report); err == nil {
			err = unix.ENOENT
		}
	}
	if errors.Is(err, unix.ENOENT) { // the first entry has failed since; this one stands for itself
		delete(p.names, id)
		return false, nil
	}
	if err != nil {
		return true, p.fault(dir.join(node.Name), fmt.Errorf("link to %s: %w", first.dir.join(first.name), err))
	}
	p.countWhole(node)
	return true, nil
}

// openPlace opens a directory of the target, through real directories only.
func openPlace(root int, where *place) (int, error) {
	fd, err := openDirAt(root, ".")
	for _, name := range where.names() {
		if err != nil {
			return -1, err
		}
		parent := fd
		fd, err = openDirAt(parent, name)
		closeFD(parent)
	}
	return fd, err
}

package archive

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// lostAndFound is the directory where e2fsck puts what it finds; every ext file system has one at its root.
const lostAndFound = "lost+found"

// fileSystemDirs are names of top-level directories of a volume that belong to the file system, and not to the data:
// nobody can create or remove them, or they hold the same data again, as it was at other times.
func fileSystemDirs() []string {
	return []string{
		".snapshot", // NFS servers
		".zfs",      // ZFS, also over NFS
		".trashcan", // GlusterFS
	}
}

// ofFileSystem reports whether a directory of this name at the top of a volume belongs to the file system.
func ofFileSystem(name string) bool {
	return slices.Contains(fileSystemDirs(), name) || strings.EqualFold(name, lostAndFound) // a file system may ignore case
}

// theirs reports whether an entry of a volume's root is a directory that belongs to the file system.
func theirs(root int, name string) bool {
	if !ofFileSystem(name) {
		return false
	}
	stat, err := statAt(root, name)
	return err != nil || newNode(name, &stat).Type == treeblob.Dir
}

// leaveOut skips a top-level directory that belongs to the file system. Somebody may have made a directory of that
// name, so leaveOut reports one that is not empty, except lost+found, where nobody expects data.
func (w *walker) leaveOut(top *opened, name string) error {
	if name == lostAndFound {
		return nil
	}
	fd, err := openDirAt(top.fd, name)
	if err == nil {
		defer closeFD(fd)
		var names []string
		if names, err = readNames(fd); err == nil && len(names) == 0 {
			return nil
		}
	}
	w.result.Warn(fmt.Errorf("the directory %s at its top was left out, which by its name belongs to the file system", name))
	return nil
}

// passOver skips a top-level directory that belongs to the file system: the target has its own, or none. Its contents
// count as done, because the backup counted them.
func (p *planner) passOver(node *treeblob.Node) error {
	if node.Name != lostAndFound {
		p.warnings = append(
			p.warnings,
			fmt.Errorf("the directory %s at its top was left out, which by its name belongs to the file system", node.Name),
		)
	}
	return p.countBelow(node, node.Name, 1)
}

// countBelow counts the contents of a directory as if they were restored.
func (p *planner) countBelow(dir *treeblob.Node, where string, depth int) error {
	if depth > repository.MaxDepth {
		return fmt.Errorf("directory %s %w", shortenFront(where), repository.ErrTooDeep)
	}
	if dir.Subtree == nil {
		return fmt.Errorf("directory %q has no tree", where)
	}
	p.dirs.Add(1)
	tree, err := p.trees.enter(p.ctx, *dir.Subtree)
	for err == nil {
		var node treeblob.Node
		if node, err = tree.Next(); err != nil {
			break
		}
		if err = p.ctx.Err(); err != nil {
			break
		}
		if node.Type == treeblob.Dir {
			err = p.countBelow(&node, where+"/"+node.Name, depth+1)
		} else {
			p.countWhole(&node)
		}
	}
	if errors.Is(err, io.EOF) {
		err = p.trees.leave(p.ctx)
	}
	if err != nil {
		return fmt.Errorf("directory %q: %w", where, err)
	}
	return nil
}

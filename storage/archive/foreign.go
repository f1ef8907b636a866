package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// comparer compares an open directory with what a restore of a repository snapshot puts there. It serves a single call.
type comparer struct {
	ctx  context.Context
	repo *repository.Repository
	// partial says that the restore did not end, so some files may be incomplete.
	partial bool
	step    func() // called for each entry, and each piece of a file that is read
}

// foreign looks for an entry in a directory that a restore of the repository snapshot's top-level entry name did not
// put there, or that was changed since. It returns the entry's path; "" if there is none. Missing entries do not
// matter. It reads contents only where it must: a write to a complete file changes the file's time, if not its size.
func (c *comparer) foreign(snapshot repository.Snapshot, name string, dir int) (string, error) {
	if err := c.repo.LoadIndex(c.ctx); err != nil {
		return "", err
	}
	node, err := topEntry(c.ctx, c.repo, snapshot, name)
	if err != nil {
		return "", err
	}
	if node.Type != treeblob.Dir || node.Subtree == nil {
		return "", fmt.Errorf("%q in it is no directory", name)
	}
	return c.dir(dir, *node.Subtree, "", 0)
}

// subdir is a directory that both sides have.
type subdir struct {
	name string
	tree repository.ID
}

// dir compares one directory, and then its subdirectories.
func (c *comparer) dir(fd int, tree repository.ID, where string, depth int) (string, error) {
	if depth > repository.MaxDepth {
		return "", repository.ErrTooDeep
	}
	names, err := readNames(fd)
	if err != nil {
		return "", fmt.Errorf("read directory %q: %w", where, err)
	}
	if depth == 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return theirs(fd, name) || name == RestoringMark })
	}
	foreign, subdirs, err := c.entries(fd, tree, names)
	if err != nil {
		return "", fmt.Errorf("directory %q: %w", where, err)
	}
	if foreign != "" {
		return path.Join(where, foreign), nil
	}
	for _, sub := range subdirs {
		inner, err := openBelow(fd, sub.name)
		if err != nil {
			return "", fmt.Errorf("directory %q: %w", path.Join(where, sub.name), err)
		}
		foreign, err := c.dir(inner, sub.tree, path.Join(where, sub.name), depth+1)
		closeFD(inner)
		if foreign != "" || err != nil {
			return foreign, err
		}
	}
	return "", nil
}

// entries compares the entries of one directory, whose names are sorted, with a tree. It reads the tree as a stream, so
// that only one tree is in memory.
func (c *comparer) entries(fd int, tree repository.ID, names []string) (foreign string, subdirs []subdir, err error) {
	reader, err := c.repo.ReadTree(c.ctx, tree)
	if err != nil {
		return "", nil, err
	}
	known := make([]bool, len(names))
	for {
		node, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && c.ctx.Err() != nil {
			err = context.Cause(c.ctx)
		}
		if err != nil {
			return "", nil, err
		}
		at, found := slices.BinarySearchFunc(names, node.Name, strings.Compare)
		if !found {
			continue
		}
		c.step()
		same, err := c.isRestored(fd, &node)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", node.Name, err)
		}
		if known[at] = same; same && node.Type == treeblob.Dir && node.Subtree != nil {
			subdirs = append(subdirs, subdir{node.Name, *node.Subtree})
		}
	}
	if at := slices.Index(known, false); at >= 0 {
		return names[at], nil, nil
	}
	return "", subdirs, nil
}

// isRestored reports whether an entry is still what Restore has made of the node.
func (c *comparer) isRestored(dir int, node *treeblob.Node) (bool, error) {
	stat, err := statAt(dir, node.Name)
	if errors.Is(err, unix.ENOENT) {
		return true, nil // it is being removed, and nobody's
	}
	if err != nil {
		return false, err
	}
	found := newNode(node.Name, &stat)
	if found.Type != node.Type {
		return false, nil
	}
	switch node.Type {
	case treeblob.Dir:
		return true, nil // its contents count
	case treeblob.Symlink:
		target, err := readLinkAt(dir, node.Name)
		return err == nil && target == node.LinkTarget, err
	case treeblob.File:
		if whole := found.Size == node.Size && keptTime(node.ModTime, found.ModTime); whole || !c.partial {
			return whole, nil
		}
		return c.isPart(dir, node, &found)
	default:
		return found.Device == node.Device, nil
	}
}

// keptTime reports whether a file system that was given one time keeps it as the other: some keep less than
// nanoseconds.
func keptTime(given, kept time.Time) bool {
	return slices.ContainsFunc(
		[]time.Duration{time.Nanosecond, 100 * time.Nanosecond, time.Microsecond, time.Second},
		func(unit time.Duration) bool {
			return kept.Equal(given.Truncate(unit))
		},
	)
}

// isPart reports whether a file is what a stopped restore leaves of a node: at full length, with mode 0600 (the mode
// changes last), and with no content that is not the node's.
func (c *comparer) isPart(dir int, node, found *treeblob.Node) (bool, error) {
	if permissions(found.Mode) != 0o600 || found.Size != 0 && found.Size != node.Size {
		return false, nil
	}
	if found.Size == 0 {
		return true, nil
	}
	if _, err := c.repo.Judge(node); err != nil {
		return false, err
	}
	fd, err := openAt(dir, node.Name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer closeFD(fd)
	var offset int64
	for _, id := range node.Content {
		at, err := c.repo.Locate(repository.DataBlob, id)
		if err != nil {
			return false, err
		}
		piece := make([]byte, at.PlainLength)
		if _, err := io.ReadFull(&fileReader{fd: fd, at: offset, left: int64(len(piece))}, piece); err != nil {
			return false, err
		}
		offset += int64(len(piece))
		c.step()
		if same, err := c.isPiece(piece, id); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// isPiece reports whether bytes are a blob's, or zero where the blob has not been written. It fetches the blob only if
// the bytes are neither all zeros nor all the blob's.
func (c *comparer) isPiece(piece []byte, id repository.ID) (bool, error) {
	if allZero(piece) || repository.Hash(piece) == id {
		return true, nil
	}
	want, err := c.repo.LoadBlob(c.ctx, repository.DataBlob, id)
	if err != nil {
		return false, err
	}
	for i := range piece {
		if piece[i] != 0 && piece[i] != want[i] {
			return false, nil
		}
	}
	return true, nil
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// settle is how long before the start of the earlier backup a file's last change must lie for its times to prove
// anything. A change within one tick of the file system's clock leaves the times as they are, and the coarsest clocks
// tick every two seconds.
const settle = 2 * time.Second

// previous is the last backup of the same volume. The walker takes files that have not changed since from there.
type previous struct {
	repo *repository.Repository
	id   repository.ID
	top  treeblob.Node // the volume's root directory
	took time.Time     // when that backup began
	// exact says that the volume is the same one as then, or an image of it, so that ctime and inode reveal changes
	// too. A clone that was copied file by file has new ones.
	exact bool
	// failed is why a directory of that backup could not be read, the first time; only the walker uses it.
	failed error
}

// note keeps the first reason why the last backup is of no use. That costs time, and somebody may wonder why.
func (p *previous) note(err error) {
	if p.failed == nil && !errors.Is(err, io.EOF) {
		p.failed = err
	}
}

// warn says which part of the last backup was of no use; nil if all was useful.
func (p *previous) warn() error {
	if p == nil || p.failed == nil {
		return nil
	}
	return fmt.Errorf(
		"the last backup, repository snapshot %s, cannot be read in full, so files that it may hold were read again: %w",
		p.id.Short(),
		p.failed,
	)
}

// findPrevious returns the newest backup of the same volume among snapshots, which are sorted by time; nil if none can
// be used. Reading the volume yields everything that the last backup offers, so no problem with the last backup fails
// this one.
func findPrevious(ctx context.Context, repo *repository.Repository, source Source, snapshots []repository.Snapshot) *previous {
	for _, s := range slices.Backward(snapshots) {
		if s.Hostname != source.Host || !slices.Equal(s.Paths, source.paths()) {
			continue
		}
		if top, err := topEntry(ctx, repo, s, source.Name); err == nil && top.Type == treeblob.Dir {
			return &previous{repo: repo, id: s.ID, top: top, took: s.Time}
		}
	}
	return nil
}

// sample bounds how many entries are compared to recognise a volume.
const sample = 4096

// recognise finds out whether ctimes and inodes are reliable. They are if the volume's root, or one of the entries
// nearest to it, still has the old ones. A copy never has.
func (p *previous) recognise(ctx context.Context, root int) {
	if stat, err := fstat(root); err == nil {
		now := newNode("", &stat)
		p.exact = sameInode(&p.top, &now)
	}
	dirs := []known{{node: p.top}}
	for left := sample; !p.exact && left > 0 && len(dirs) > 0 && ctx.Err() == nil; dirs = dirs[1:] {
		dirs, left = p.compare(ctx, root, dirs, left)
	}
}

// known is a directory of the last backup.
type known struct {
	place
	node treeblob.Node
}

// compare looks at up to left entries of the first of the directories. It appends the directories among them to dirs,
// and returns how many more entries may be looked at.
func (p *previous) compare(ctx context.Context, root int, dirs []known, left int) ([]known, int) {
	here := &dirs[0].place
	fd, err := openPlace(root, here)
	if err != nil {
		return dirs, left
	}
	defer closeFD(fd)
	entries, err := readEntries(fd)
	if err != nil {
		return dirs, left
	}
	old := p.dir(ctx, &dirs[0].node)
	for _, e := range entries {
		before := old.find(e.name)
		if before == nil {
			continue
		}
		if left--; left < 0 {
			break
		}
		stat, err := statAt(fd, e.name)
		if err != nil {
			continue
		}
		now := newNode(e.name, &stat)
		if p.exact = sameInode(before, &now); p.exact {
			break
		}
		if before.Type == treeblob.Dir && now.Type == treeblob.Dir {
			dirs = append(dirs, known{place: place{above: here, name: e.name, depth: here.depth + 1}, node: *before})
		}
	}
	return dirs, left
}

func sameInode(old, now *treeblob.Node) bool {
	return old.Type == now.Type && old.Inode == now.Inode && old.ChangeTime.Equal(now.ChangeTime)
}

// unchanged reports whether a file's content is still the one that an earlier backup read. took is when that backup
// began; exact says whether ctime and inode count.
func unchanged(old, now *treeblob.Node, took time.Time, exact bool) bool {
	if old.Type != treeblob.File || now.Type != treeblob.File || old.Size != now.Size || !old.ModTime.Equal(now.ModTime) {
		return false
	}
	if !exact {
		return now.ModTime.Before(took.Add(-settle))
	}
	return sameInode(old, now) && now.ChangeTime.Before(took.Add(-settle))
}

// content completes the node of an unchanged file with the last backup's content. It returns false if the file must be
// read.
func (p *previous) content(old, now *treeblob.Node) bool {
	if !unchanged(old, now, p.took, p.exact) {
		return false
	}
	// The index may have lost blobs that the tree names. Then this backup must store them again.
	if _, err := p.repo.Judge(old); err != nil {
		return false
	}
	now.Content = old.Content
	if now.Content == nil {
		now.Content = []repository.ID{}
	}
	return true
}

// previousDir is a directory of the last backup, read alongside the one that is being saved. A nil previousDir is
// empty.
type previousDir struct {
	of      *previous
	subtree repository.ID
	reader  *repository.TreeReader
	next    *treeblob.Node
}

// dir opens a directory of the last backup; nil if there is none, or if it cannot be read.
func (p *previous) dir(ctx context.Context, node *treeblob.Node) *previousDir {
	if p == nil || node == nil || node.Type != treeblob.Dir || node.Subtree == nil {
		return nil
	}
	reader, err := p.repo.ReadTree(ctx, *node.Subtree)
	if err != nil {
		p.note(err)
		return nil
	}
	return &previousDir{of: p, subtree: *node.Subtree, reader: reader}
}

// find returns the entry with a name; nil if there was none. Callers ask for names in order.
func (d *previousDir) find(name string) *treeblob.Node {
	if d == nil {
		return nil
	}
	for d.reader != nil && (d.next == nil || d.next.Name < name) {
		node, err := d.reader.Next()
		if err != nil { // the end, or damage: everything behind it is read anew
			d.of.note(err)
			d.reader = nil
			d.next = nil
			return nil
		}
		d.next = &node
	}
	if d.next == nil || d.next.Name != name {
		return nil
	}
	return d.next
}

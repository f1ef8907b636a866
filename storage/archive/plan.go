package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// A batch is what the planner collects before it is sorted by pack. Its limits bound the memory and the open
// directories of a restore; the larger it is, the more of a pack is fetched with one read.
const (
	batchBytes  = 256 << 20
	batchBlobs  = 4096
	batchDirs   = 512
	batchPieces = 2 * batchBlobs // one blob may be needed by many files
)

// inode tells which entries are links to one file.
type inode struct{ device, number uint64 }

// planner walks the trees of the repository snapshot, makes what has no content, and plans how to get the rest. It is
// one goroutine.
type planner struct {
	*restoring
	// ctx is that of the pipeline, which the planner is a part of for as long as it lives.
	ctx    context.Context
	runs   chan<- run
	batch  batch
	opened int // directories since the last batch, which it may keep open
	links  map[inode]*firstLink
}

// firstLink is the entry that others are made links to.
type firstLink struct {
	dir  *place
	name string
	left uint64      // links to it that have not been seen
	file *targetFile // whose content it is; nil for what has none
}

// volume restores the contents of the top-level directory into the target, and its attributes onto it.
func (p *planner) volume(node repository.Node) error {
	root, err := p.rootDir(node)
	if err != nil {
		return err
	}
	if err := p.contents(root); err != nil {
		return err
	}
	return p.flush()
}

// contents restores what is in a directory.
func (p *planner) contents(dir *targetDir) error {
	p.dirs.Add(1)
	if dir.node.Subtree == nil {
		return fmt.Errorf("directory %q has no tree", dir.path())
	}
	tree, err := p.repo.ReadTree(p.ctx, *dir.node.Subtree)
	if err != nil {
		return fmt.Errorf("directory %q: %w", dir.path(), err)
	}
	for {
		node, err := tree.Next()
		if errors.Is(err, io.EOF) {
			return dir.done(p.restoring)
		}
		if err != nil {
			return fmt.Errorf("directory %q: %w", dir.path(), err)
		}
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if dir.parent == nil && node.Name == lostAndFound && node.Type == repository.DirNode {
			continue // the target has its own
		}
		if err := p.entry(dir, node); err != nil {
			return err
		}
	}
}

func (p *planner) entry(dir *targetDir, node repository.Node) error {
	if node.Type == repository.DirNode {
		return p.subdir(dir, node)
	}
	linked, err := p.link(dir, node)
	if linked || err != nil {
		return err
	}
	switch node.Type {
	case repository.FileNode:
		return p.file(dir, node)
	case repository.SymlinkNode:
		err = p.makeSymlink(dir, node)
	case repository.DeviceNode, repository.CharDeviceNode, repository.FifoNode, repository.SocketNode:
		err = p.makeSpecial(dir, node)
	default:
		err = fmt.Errorf("unknown type %.32q", string(node.Type))
	}
	if err != nil {
		return p.fault(dir.join(node.Name), err)
	}
	p.others.Add(1)
	p.remember(dir, node, nil)
	return nil
}

func (p *planner) subdir(dir *targetDir, node repository.Node) error {
	if dir.depth == maxDepth {
		return fmt.Errorf("directory %s %w", shortenFront(dir.join(node.Name)), errTooDeep)
	}
	made, err := p.makeDir(dir, node)
	if err != nil {
		return p.fault(dir.join(node.Name), err)
	}
	if p.opened++; p.opened > batchDirs {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return p.contents(made)
}

// link makes an entry that is another link to one that has been made; false if there is none.
func (p *planner) link(dir *targetDir, node repository.Node) (bool, error) {
	if node.Links < 2 || node.DeviceID == 0 {
		return false, nil
	}
	key := inode{node.DeviceID, node.Inode}
	first := p.links[key]
	if first == nil {
		return false, nil
	}
	if first.left--; first.left == 0 {
		delete(p.links, key)
	}
	firstDir, err := openPlace(p.root, first.dir)
	if err == nil {
		defer closeFD(firstDir)
		err = p.create(dir, node.Name, func() error {
			return unix.Linkat(firstDir, first.name, dir.fd, node.Name, 0)
		})
	}
	if err == nil && first.file != nil && !first.file.also(dir, node.Name) { // it was removed just after
		if err = removeAt(dir.fd, node.Name); err == nil {
			err = unix.ENOENT
		}
	}
	if errors.Is(err, unix.ENOENT) { // the first one failed since; this one stands for itself
		delete(p.links, key)
		return false, nil
	}
	if err != nil {
		return true, p.fault(dir.join(node.Name), fmt.Errorf("link to %s: %w", first.dir.join(first.name), err))
	}
	if node.Type == repository.FileNode {
		p.files.Add(1)
		p.bytes.Add(int64(node.Size))
		p.doneFiles.Add(1)
		p.doneBytes.Add(int64(node.Size))
	} else {
		p.others.Add(1)
	}
	return true, nil
}

func (p *planner) remember(dir *targetDir, node repository.Node, file *targetFile) {
	if node.Links > 1 && node.DeviceID != 0 {
		p.links[inode{node.DeviceID, node.Inode}] = &firstLink{dir: &dir.place, name: node.Name, left: node.Links - 1, file: file}
	}
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

// file plans the content of a file.
func (p *planner) file(dir *targetDir, node repository.Node) error {
	size, err := measure(p.repo, node)
	if err != nil {
		return fmt.Errorf("file %q: %w", dir.join(node.Name), err)
	}
	p.files.Add(1)
	p.bytes.Add(size)
	file := newTargetFile(dir, node)
	if node.Links > 1 || len(node.Content) == 0 { // links need it to be there; an empty one is done
		if _, err := file.open(p.restoring); err != nil {
			if err := file.fail(p.restoring, err); err != nil {
				return err
			}
		} else {
			p.remember(dir, node, file)
		}
	}
	return p.content(file)
}

// content plans what is in a file whose content is known to be in the index.
func (p *planner) content(file *targetFile) error {
	if len(file.node.Content) == 0 {
		return file.done(p.restoring)
	}
	var offset int64
	for _, id := range file.node.Content {
		at, err := p.repo.Locate(repository.DataBlob, id)
		if err != nil {
			return err
		}
		p.batch.add(id, at, piece{file: file, offset: offset})
		offset += int64(at.PlainLength)
		if p.batch.full() {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure makes sure that all of a file's content is in the index and adds up to its size.
func measure(repo *repository.Repository, node repository.Node) (int64, error) {
	var size uint64
	for _, id := range node.Content {
		at, err := repo.Locate(repository.DataBlob, id)
		if err != nil {
			return 0, err
		}
		size += uint64(at.PlainLength)
	}
	if size != node.Size {
		return 0, fmt.Errorf("its content has %d bytes, its size is said to be %d: the repository is damaged", size, node.Size)
	}
	return int64(size), nil
}

// flush hands the batch to the fetchers.
func (p *planner) flush() error {
	for _, next := range p.batch.plan() {
		select {
		case p.runs <- next:
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	p.batch, p.opened = batch{}, 0
	return nil
}

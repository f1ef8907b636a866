package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// A batch is what the planner collects before it sorts by pack. Its limits bound the memory and the open directories of
// a restore; a larger batch fetches more of a pack with one read.
const (
	batchBytes  = 256 << 20
	batchBlobs  = 4096
	batchDirs   = 512
	batchPieces = 2 * batchBlobs // one blob may be needed by many files
)

// planner walks the trees of the repository snapshot, makes entries without content, and plans how to get the content
// of the others. It is one goroutine.
type planner struct {
	*restoring
	// ctx is the pipeline's context. The planner is a part of the pipeline for as long as it lives.
	ctx    context.Context
	runs   chan<- run
	batch  batch
	opened int // directories since the last batch, which that batch may keep open
	names  map[identity]*firstName
	trees  openTrees
}

// volume restores the contents of the top-level directory into the target, and its attributes onto it.
func (p *planner) volume(node treeblob.Node) error {
	root, err := p.rootDir(node)
	if err != nil {
		return err
	}
	if err := p.contents(root); err != nil {
		return err
	}
	return p.flush()
}

// contents restores the entries of a directory.
func (p *planner) contents(dir *targetDir) error {
	p.dirs.Add(1)
	p.report()
	tree, err := p.trees.enter(p.ctx, *dir.node.Subtree)
	if err != nil {
		return fmt.Errorf("directory %q: %w", dir.path(), err)
	}
	for {
		node, err := tree.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("directory %q: %w", dir.path(), err)
		}
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if dir.parent == nil && node.Type == treeblob.Dir && ofFileSystem(node.Name) {
			if err := p.passOver(&node); err != nil {
				return err
			}
			continue
		}
		if dir.parent == nil && node.Name == RestoringMark {
			p.countWhole(&node) // as the backup counted it
			continue
		}
		if err := p.entry(dir, node); err != nil {
			return err
		}
	}
	if err := p.trees.leave(p.ctx); err != nil {
		return fmt.Errorf("directory %q: %w", dir.parent.path(), err)
	}
	return dir.done(p.restoring)
}

func (p *planner) entry(dir *targetDir, node treeblob.Node) error {
	size, err := p.repo.Judge(&node)
	if err != nil {
		return p.refuse(dir, &node, err)
	}
	if node.Type == treeblob.Dir {
		return p.subdir(dir, node)
	}
	linked, err := p.link(dir, &node)
	if linked || err != nil {
		return err
	}
	switch node.Type {
	case treeblob.File:
		return p.file(dir, node, size)
	case treeblob.Symlink:
		err = p.makeSymlink(dir, node)
	default:
		err = p.makeSpecial(dir, node)
	}
	if err != nil {
		return p.fault(dir.join(node.Name), err)
	}
	p.others.Add(1)
	p.report()
	p.first(dir, &node).end(false)
	return nil
}

// refuse leaves out an entry that cannot be restored: the restore goes on with the others, and fails in the end.
func (p *planner) refuse(dir *targetDir, node *treeblob.Node, err error) error {
	err = fmt.Errorf("%.32q in tree %s %w", node.Name, dir.node.Subtree, err)
	if repository.Undecided(p.ctx, err) {
		return err
	}
	p.problems.add(dir.join(node.Name), err)
	return nil
}

func (p *planner) subdir(dir *targetDir, node treeblob.Node) error {
	if dir.depth == repository.MaxDepth {
		return p.refuse(dir, &node, repository.ErrTooDeep)
	}
	made, err := p.makeDir(dir, node)
	if err != nil {
		return p.fault(dir.join(node.Name), err)
	}
	if p.opened++; p.opened > p.open.limits.dirs {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return p.contents(made)
}

// file plans the content of a file. size is the file's size.
func (p *planner) file(dir *targetDir, node treeblob.Node, size int64) error {
	p.files.Add(1)
	p.bytes.Add(size)
	file := newTargetFile(dir, node)
	if node.Links > 1 || len(node.Content) == 0 { // links need it to exist; an empty file is done already
		if err := file.make(p.restoring); err != nil {
			if err := file.fail(p.restoring, err); err != nil {
				return err
			}
		} else {
			file.first = p.first(dir, &node)
		}
	}
	return p.content(file)
}

// countWhole counts an entry that needs nothing more.
func (p *planner) countWhole(node *treeblob.Node) {
	defer p.report()
	if node.Type != treeblob.File {
		p.others.Add(1)
		return
	}
	p.files.Add(1)
	p.bytes.Add(int64(node.Size))
	p.doneFiles.Add(1)
	p.doneBytes.Add(int64(node.Size))
}

// content plans the pieces of a file whose content is known to be in the index.
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

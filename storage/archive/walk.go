package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// walker goes through the tree and reads files. It is one goroutine.
type walker struct {
	// ctx is the pipeline's context. The walker is a part of the pipeline for as long as it lives.
	ctx      context.Context
	saver    *trees
	slabs    <-chan *slab
	jobs     chan<- []job
	progress Reporter

	previous *previous // nil if all files are read
	links    links
	zeros    zeros // shared with the workers

	maxPieces int // per file

	small                         *slab // buffer for small files, one behind the other
	batch                         []job // pieces of small files, not sent yet
	batched                       int   // their bytes
	result                        Result
	problems                      problems
	changes                       changes
	filesChanged, filesUnmodified int64
}

func newWalker(to blobSaver) *walker {
	w := &walker{links: newLinks(linksMemory), maxPieces: treeblob.MaxContent}
	w.saver = &trees{blobSaver: to, problems: &w.problems}
	return w
}

// opened is a directory that the walker is in.
type opened struct {
	fd int
	place
	pending *pendingDir
	old     *previousDir // the same directory in the last backup
}

// volume saves the directory, or the block device, at the path dir, under name.
func (w *walker) volume(dir, name string, top *pendingDir) error {
	if info, err := os.Stat(dir); err == nil && info.Mode().Type() == fs.ModeDevice {
		return w.device(dir, name, top)
	}
	fd, err := openDir(dir)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	stat, err := fstat(fd)
	if err != nil {
		return fmt.Errorf("stat %s: %w", dir, err)
	}
	var old *treeblob.Node
	if w.previous != nil {
		old = &w.previous.top
	}
	node := newNode(name, &stat)
	if err := w.dir(&opened{fd: fd}, &node, old, top); err != nil {
		return err
	}
	return w.releaseSmall()
}

// dir saves an open directory. old is the same directory in the last backup.
func (w *walker) dir(d *opened, node, old *treeblob.Node, parent *pendingDir) error {
	if d.above == nil && w.previous != nil {
		w.previous.recognise(w.ctx, d.fd)
	}
	entries, err := readEntries(d.fd)
	if err != nil {
		if d.above == nil {
			return fmt.Errorf("read the volume's root directory: %w", err)
		}
		w.miss(d.path(), fmt.Errorf("read directory: %w", err))
		return nil
	}
	d.old = w.previous.dir(w.ctx, old)
	node.Links = 0 // it counts subdirectories, which the tree says too
	if node.ExtendedAttributes, err = readAttributesOf(d.fd); err != nil {
		w.incomplete(d.path(), node, err)
	}
	parent.add(node)
	parent.waiting.Add(1)
	d.pending = newPendingDir(parent, node)
	if d.old != nil {
		d.pending.before = &d.old.subtree
	}
	w.result.Directories++
	w.report(0)
	for _, e := range entries {
		if err := w.entry(d, e); err != nil {
			return err
		}
	}
	return d.pending.done(w.ctx, w.saver)
}

// miss notes an entry that cannot be saved: as a problem, unless it is gone.
func (w *walker) miss(where string, err error) {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) {
		w.changes.add(where, Vanished, "removed before it could be read; it is not in the backup")
		return
	}
	w.problems.add(where, err)
}

// entry saves one entry of a directory. It notes errors of the entry itself; an error that it returns ends the backup.
func (w *walker) entry(d *opened, e entry) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	name, old := e.name, d.old.find(e.name)
	if d.above == nil && name == RestoringMark {
		w.problems.add(name, errUnfinished)
		return nil
	}
	if e.file && old == nil {
		return w.read(d, name, nil, true)
	}
	stat, err := statAt(d.fd, name)
	if err != nil {
		w.miss(d.join(name), err)
		return nil
	}
	node := newNode(name, &stat)
	switch node.Type {
	case treeblob.Dir:
		return w.subdir(d, name, old)
	case treeblob.File:
		return w.file(d, &node, &stat, old)
	case "":
		w.problems.add(d.join(name), fmt.Errorf("unknown kind of file (mode %#o)", stat.Mode))
		return nil
	}
	if node.Type == treeblob.Symlink {
		if node.LinkTarget, err = readLinkAt(d.fd, name); err != nil {
			w.miss(d.join(name), err)
			return nil
		}
	}
	w.attributes(d, &node)
	d.pending.add(&node)
	w.result.Others++
	w.report(0)
	return nil
}

// attributes reads the extended attributes of an entry without opening it.
func (w *walker) attributes(d *opened, node *treeblob.Node) {
	found, err := readAttributes(procPath(d.fd)+"/"+node.Name, false)
	switch {
	case errors.Is(err, unix.ENOENT):
		w.changes.add(d.join(node.Name), Vanished, "removed while it was read; its extended attributes are not in the backup")
	case err != nil:
		w.incomplete(d.join(node.Name), node, err)
	}
	node.ExtendedAttributes = found
}

// incomplete notes that a node lacks extended attributes. It removes the node's ctime, so that the next backup does not take the entry for
// unchanged: that backup would say nothing about the missing attributes.
func (w *walker) incomplete(where string, node *treeblob.Node, err error) {
	node.ChangeTime = time.Time{}
	w.problems.add(where, err)
}

func (w *walker) subdir(parent *opened, name string, old *treeblob.Node) error {
	here := place{above: &parent.place, name: name, depth: parent.depth + 1}
	if parent.above == nil && ofFileSystem(name) {
		return w.leaveOut(parent, name)
	}
	if here.depth > repository.MaxDepth {
		w.problems.add(here.path(), repository.ErrTooDeep)
		return nil
	}
	fd, err := openDirAt(parent.fd, name)
	if err != nil {
		w.miss(here.path(), err)
		return nil
	}
	defer closeFD(fd)
	stat, err := fstat(fd)
	if err != nil {
		w.problems.add(here.path(), err)
		return nil
	}
	node := newNode(name, &stat)
	return w.dir(&opened{fd: fd, place: here}, &node, old, parent.pending)
}

// file saves a regular file: from the last backup, from another name of it, or by reading it.
func (w *walker) file(d *opened, node *treeblob.Node, stat *unix.Stat_t, old *treeblob.Node) error {
	if other := w.links.find(stat); other != nil {
		return w.link(d, node, other, old)
	}
	if old == nil || !w.previous.content(old, node) {
		return w.read(d, node.Name, old, false)
	}
	if node.ExtendedAttributes = old.ExtendedAttributes; !w.previous.exact { // else ctime vouches for them
		w.attributes(d, node)
	}
	w.links.add(stat, knownContent(node.Content), len(node.Content))
	w.filesUnmodified++
	d.pending.add(node)
	w.count(int64(node.Size))
	return nil
}

// link saves another name of a file.
func (w *walker) link(d *opened, node *treeblob.Node, other *content, old *treeblob.Node) error {
	w.attributes(d, node)
	w.classify(old)
	d.pending.add(node)
	other.follow(d.pending, node)
	w.count(int64(node.Size))
	return nil
}

// classify counts a file that is not taken from the last backup.
func (w *walker) classify(old *treeblob.Node) {
	if old != nil && old.Type == treeblob.File {
		w.filesChanged++
	}
}

// count counts a finished file. size is the size that it is saved with.
func (w *walker) count(size int64) {
	w.result.Files++
	w.result.Bytes += size
	w.report(0)
}

// read saves a regular file by reading it. A file that is seen for the first time may be another name of a saved one.
func (w *walker) read(d *opened, name string, old *treeblob.Node, first bool) error {
	// O_NONBLOCK keeps us from waiting, should it have become a fifo since we looked.
	fd, err := openAt(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		w.miss(d.join(name), err)
		return nil
	}
	defer closeFD(fd)
	stat, err := fstat(fd)
	if err == nil && nodeType(stat.Mode) != treeblob.File {
		err = errors.New("is no longer the regular file that it was a moment ago")
	}
	if err != nil {
		w.problems.add(d.join(name), err)
		return nil
	}
	node := newNode(name, &stat)
	if first {
		if other := w.links.find(&stat); other != nil {
			return w.link(d, &node, other, old)
		}
	}
	if node.ExtendedAttributes, err = readAttributesOf(fd); err != nil {
		w.incomplete(d.join(name), &node, err)
	}
	d.pending.add(&node)
	pending := newPendingFile(d.pending, &node)
	read, err := w.content(fd, extent{end: stat.Size, hole: stat.Blocks*512 < stat.Size}, pending)
	var readErr *readError
	switch {
	case errors.As(err, &readErr):
		w.problems.add(d.join(name), readErr.err)
		drop(&node)
		return pending.done(w.ctx, w.saver)
	case err != nil:
		return err
	}
	if after, err := fstat(fd); err == nil {
		if kind, detail := describeChange(&stat, &after, read); kind != "" {
			w.changes.add(d.join(name), kind, detail)
		}
	}
	// What was read is what is saved, whatever has become of the file since.
	node.Size = uint64(read)
	if read == stat.Size {
		w.links.add(&stat, pending.content, pending.pieces)
	}
	w.classify(old)
	w.count(read)
	return pending.done(w.ctx, w.saver)
}

// readError is a failure to read a file, as opposed to a failure of the pipeline.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// content reads the first bytes of a file, up to the end of all or of the file, and sends them to the workers in pieces. It does not read
// holes, if all may have some.
func (w *walker) content(fd int, all extent, file *pendingFile) (done int64, err error) {
	for done < all.end {
		next := extent{end: all.end}
		if !w.fits(file, all.end-done) {
			return done, &readError{err: errTooLarge}
		}
		if all.hole {
			next = nextExtent(fd, done, all.end)
		}
		var (
			length = next.end - done
			n      int64
		)
		if next.hole {
			n, err = w.hole(length, file)
		} else {
			n, err = w.stretch(&fileReader{fd: fd, at: done, left: length}, length, done, file)
			w.result.BytesRead += n
		}
		done += n
		w.report(done)
		if err != nil || n < length {
			return done, err
		}
	}
	return done, nil
}

// stretch reads a part of a file; offset is where the part begins, for progress.
func (w *walker) stretch(r io.Reader, length, offset int64, file *pendingFile) (int64, error) {
	if length <= minPiece {
		return w.smallStretch(r, int(length), file)
	}
	if err := w.releaseSmall(); err != nil { // the last free slab may be that one
		return 0, err
	}
	return w.largeStretch(r, length, offset, file)
}

func (w *walker) largeStretch(r io.Reader, length, offset int64, file *pendingFile) (done int64, err error) {
	var (
		carry []byte
		held  *slab // holds carry
	)
	for more := true; more; w.report(offset + done) {
		if !w.fits(file, length-done) {
			if held != nil {
				held.release()
			}
			return done, &readError{err: errTooLarge}
		}
		s, err := takeSlab(w.ctx, w.slabs)
		if err != nil {
			return done, err
		}
		read, rest, again, err := s.cut(carry, r, length-done, func(piece []byte) error {
			return w.send(s, job{file: file, piece: piece})
		})
		done += read
		if held != nil {
			held.release()
		}
		carry, held, more = rest, s, again
		if err != nil {
			s.release()
			return done, err
		}
	}
	held.release()
	return done, nil
}

// report tells about progress; extra bytes belong to the file that is being read.
func (w *walker) report(extra int64) {
	if w.progress != nil {
		w.progress.Report(Progress{Files: w.result.Files, Bytes: w.result.Bytes + extra})
	}
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// lostAndFound is where e2fsck puts what it finds; every ext file system has one at its root.
const lostAndFound = "lost+found"

// walker goes through the tree and reads files. It is one goroutine.
type walker struct {
	// ctx is that of the pipeline, which the walker is a part of for as long as it lives.
	ctx      context.Context
	saver    treeSaver
	slabs    <-chan *slab
	jobs     chan<- job
	progress Reporter

	small    *slab // what small files are read into, one after the other
	result   Result
	problems problems
}

// volume saves the directory at dir under name.
func (w *walker) volume(dir, name string, top *pendingDir) error {
	fd, err := openDir(dir)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	defer func() {
		if w.small != nil {
			w.small.release()
		}
	}()
	stat, err := fstat(fd)
	if err != nil {
		return fmt.Errorf("stat %s: %w", dir, err)
	}
	return w.dir(fd, "", name, &stat, top)
}

// dir saves an open directory. where is its path within the volume, for messages; "" for the root.
func (w *walker) dir(fd int, where, name string, stat *unix.Stat_t, parent *pendingDir) error {
	names, err := readNames(fd)
	if err != nil {
		if where == "" {
			return fmt.Errorf("read the volume's root directory: %w", err)
		}
		w.problems.add(where, fmt.Errorf("read directory: %w", err))
		return nil
	}
	slices.Sort(names)
	node := newNode(name, stat)
	node.Links = 0 // says how many directories are in it, which the tree says too
	if node.ExtendedAttributes, err = readAttributesOf(fd); err != nil {
		w.problems.add(where, err)
	}
	parent.add(&node)
	parent.waiting.Add(1)
	d := newPendingDir(parent, &node)
	w.result.Directories++
	for _, entry := range names {
		if where == "" && entry == lostAndFound {
			continue
		}
		if err := w.entry(fd, path.Join(where, entry), entry, d); err != nil {
			return err
		}
	}
	return d.done(w.ctx, w.saver)
}

// entry saves one entry of the directory fd. Errors of the entry itself become problems; one that is returned ends
// the backup.
func (w *walker) entry(fd int, where, name string, dir *pendingDir) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	stat, err := statAt(fd, name)
	if err != nil {
		w.problems.add(where, err)
		return nil
	}
	switch nodeType(stat.Mode) {
	case repository.DirNode:
		return w.subdir(fd, where, name, dir)
	case repository.FileNode:
		return w.file(fd, where, name, dir)
	case "":
		w.problems.add(where, fmt.Errorf("unknown kind of file (mode %#o)", stat.Mode))
		return nil
	}
	node := newNode(name, &stat)
	if node.Type == repository.SymlinkNode {
		if node.LinkTarget, err = readLinkAt(fd, name); err != nil {
			w.problems.add(where, err)
			return nil
		}
	}
	if node.ExtendedAttributes, err = readAttributes(procPath(fd)+"/"+name, false); err != nil {
		w.problems.add(where, err)
	}
	dir.add(&node)
	w.result.Others++
	return nil
}

func (w *walker) subdir(parent int, where, name string, dir *pendingDir) error {
	fd, err := openDirAt(parent, name)
	if err != nil {
		w.problems.add(where, err)
		return nil
	}
	defer closeFD(fd)
	stat, err := fstat(fd)
	if err != nil {
		w.problems.add(where, err)
		return nil
	}
	return w.dir(fd, where, name, &stat, dir)
}

// file saves a regular file.
func (w *walker) file(parent int, where, name string, dir *pendingDir) error {
	// Not to block, should it have become a fifo since we looked.
	fd, err := openAt(parent, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		w.problems.add(where, err)
		return nil
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	stat, err := fstat(fd)
	if err == nil && nodeType(stat.Mode) != repository.FileNode {
		err = errors.New("is no longer the regular file that it was a moment ago")
	}
	if err != nil {
		w.problems.add(where, err)
		return nil
	}
	node := newNode(name, &stat)
	if node.ExtendedAttributes, err = readAttributesOf(fd); err != nil {
		w.problems.add(where, err)
	}
	dir.add(&node)
	pending := newPendingFile(dir, &node)
	read, err := w.content(f, stat.Size, pending)
	w.result.BytesRead += read
	var readErr *readError
	switch {
	case errors.As(err, &readErr):
		w.problems.add(where, readErr.err)
		drop(&node)
		return pending.done(w.ctx, w.saver)
	case err != nil:
		return err
	case read < stat.Size:
		w.problems.add(where, fmt.Errorf("shrank from %d to %d bytes while it was read", stat.Size, read))
	}
	// What was read is what there is, whatever the file has become since.
	node.Size = uint64(read)
	w.result.Files++
	w.result.Bytes += read
	w.report(0)
	return pending.done(w.ctx, w.saver)
}

// readError is a failure to read a file, as opposed to one of the pipeline.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// content reads the first size bytes of a file, or all there are, and sends them to the workers in pieces.
func (w *walker) content(f *os.File, size int64, file *pendingFile) (int64, error) {
	if size <= minPiece {
		return w.smallContent(f, int(size), file)
	}
	if w.small != nil { // it may be the last one that is free
		w.small.release()
		w.small = nil
	}
	return w.largeContent(f, size, file)
}

func (w *walker) largeContent(f *os.File, size int64, file *pendingFile) (done int64, err error) {
	var (
		carry []byte
		held  *slab // what carry lies in
	)
	count := 0
	for more := true; more; w.report(done) {
		s, err := takeSlab(w.ctx, w.slabs)
		if err != nil {
			return done, err
		}
		read, rest, again, err := s.cut(carry, f, size-done, func(piece []byte) error {
			count++
			return w.send(job{file: file, index: count - 1, piece: piece, slab: s})
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

// smallContent reads a file that is one piece. Such files share a slab.
func (w *walker) smallContent(f *os.File, size int, file *pendingFile) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	if w.small != nil && w.small.used+size > slabSize {
		w.small.release()
		w.small = nil
	}
	if w.small == nil {
		s, err := takeSlab(w.ctx, w.slabs)
		if err != nil {
			return 0, err
		}
		w.small = s
	}
	s := w.small
	piece := s.buf[s.used : s.used+size]
	n, err := io.ReadFull(f, piece)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return 0, nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, &readError{err: err}
	}
	s.used += n
	return int64(n), w.send(job{file: file, piece: piece[:n], slab: s})
}

// send hands a piece to the workers.
func (w *walker) send(j job) error {
	j.file.waiting.Add(1)
	j.slab.hold()
	select {
	case w.jobs <- j:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// report tells about progress; extra bytes are those of the file that is being read.
func (w *walker) report(extra int64) {
	if w.progress != nil {
		w.progress.Report(Progress{Files: w.result.Files, Bytes: w.result.Bytes + extra})
	}
}

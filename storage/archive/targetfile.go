package archive

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// targetFile is a file of the target that is not complete yet.
type targetFile struct {
	dir     *targetDir
	node    treeblob.Node
	waiting atomic.Int32 // pieces that are not written
	// device is the path of the target if this is the content of a whole block device, which others open and close.
	// blank says that the device is zero wherever nothing is written.
	device string
	blank  bool

	// writing is held while writing: the kernel lets only one writer at a time write into a regular file, and waiting
	// for it would cost the others CPU time that the next pieces need.
	writing sync.Mutex

	mu     sync.Mutex
	fd     int    // -1 while it is not open
	users  int    // how many use fd
	inode  uint64 // of the file that was made, if it was closed early
	made   bool
	failed bool
	first  *firstName // nil if it has no other names
}

func newTargetFile(dir *targetDir, node treeblob.Node) *targetFile {
	f := &targetFile{dir: dir, node: node, fd: -1}
	f.waiting.Store(int32(max(len(node.Content), 1)))
	dir.waiting.Add(1)
	return f
}

// errExchanged says that somebody exchanged a file for another one during its restore.
var errExchanged = errors.New("was exchanged for something else while it was being restored")

// make makes the file before any content arrives.
func (f *targetFile) make(r *restoring) error {
	if _, err := f.acquire(r); err != nil {
		return err
	}
	return f.release(r, len(f.node.Content) > 0)
}

// acquire opens the file, if it is not open, and returns its descriptor, which stays open until release is called; -1
// if the file has failed.
func (f *targetFile) acquire(r *restoring) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		return -1, nil
	}
	if f.fd < 0 {
		if err := f.open(r); err != nil {
			return -1, err
		}
	}
	f.users++
	return f.fd, nil
}

// open makes the file at its full length; if the file was made already, open opens it again.
func (f *targetFile) open(r *restoring) (err error) {
	if f.made {
		f.fd, err = r.open.keep(openAt(f.dir.fd, f.node.Name, unix.O_WRONLY|unix.O_NONBLOCK, 0))
		if err != nil {
			return err
		}
		if stat, err := fstat(f.fd); err != nil || stat.Ino != f.inode {
			return errors.Join(err, errExchanged)
		}
		return nil
	}
	err = r.create(f.dir, f.node.Name, func() (err error) {
		f.fd, err = r.open.keep(openAt(f.dir.fd, f.node.Name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600))
		return err
	})
	if err != nil {
		return err
	}
	f.made = true
	return retry(func() error { return unix.Ftruncate(f.fd, int64(f.node.Size)) })
}

// release says that the caller no longer uses the descriptor. If very many are open, release closes it, and the next
// piece opens it again; unless only the file's end is left to do.
func (f *targetFile) release(r *restoring, more bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users--
	if f.users > 0 || !more || f.device != "" || !r.open.crowded() {
		return nil
	}
	stat, err := fstat(f.fd)
	if err != nil {
		return err
	}
	fd := f.fd
	f.fd, f.inode = -1, stat.Ino
	return r.open.close(fd) // some file systems report only now that there was no space
}

// write writes a piece at its offset; blank says that it is all zeros. It leaves blocks of zeros as the holes that a
// new file has there.
func (f *targetFile) write(r *restoring, offset int64, piece []byte, blank bool) error {
	fd, err := f.acquire(r)
	if err == nil && fd >= 0 {
		err = errors.Join(f.put(fd, offset, piece, blank), f.release(r, f.waiting.Load() > 1))
	}
	if err != nil {
		return f.fail(r, err)
	}
	return nil
}

func (f *targetFile) put(fd int, offset int64, piece []byte, blank bool) error {
	switch {
	case f.device != "" && !f.blank:
		return writeAt(fd, offset, piece)
	case blank:
		return nil
	case f.device != "":
		return writeData(fd, offset, piece)
	default:
		f.writing.Lock()
		defer f.writing.Unlock()
		return writeData(fd, offset, piece)
	}
}

// block is the unit of holes in file systems, in bytes.
const block = 4096

// writeData writes a piece, except blocks that are all zeros.
func writeData(fd int, offset int64, piece []byte) error {
	start := 0 // of the next write
	for at := 0; at < len(piece); {
		end := min(at+block-int((offset+int64(at))%block), len(piece))
		if allZero(piece[at:end]) {
			if err := writeAt(fd, offset+int64(start), piece[start:at]); err != nil {
				return err
			}
			start = end
		}
		at = end
	}
	return writeAt(fd, offset+int64(start), piece[start:])
}

func writeAt(fd int, offset int64, data []byte) error {
	for done := 0; done < len(data); {
		n, err := 0, error(nil)
		err = retry(func() error {
			n, err = unix.Pwrite(fd, data[done:], offset+int64(done))
			return err
		})
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// fail notes that the file cannot be restored. finish then removes what was written: a file that looks whole but is not
// would be worse than none.
func (f *targetFile) fail(r *restoring, err error) error {
	f.mu.Lock()
	first := !f.failed
	f.failed = true
	f.mu.Unlock()
	if f.device != "" { // there is nothing else to go on with
		return fmt.Errorf("write %s: %w", f.device, r.explain(err))
	}
	if !first {
		return nil
	}
	return r.fault(f.dir.join(f.node.Name), err)
}

// done says that one piece is written. The last one completes the file and its other names.
func (f *targetFile) done(r *restoring) error {
	if f.waiting.Add(-1) > 0 {
		return nil
	}
	others, err := f.finish(r)
	if err != nil {
		return err
	}
	r.doneFiles.Add(1)
	r.report()
	for _, other := range others {
		if err := other.dir.done(r); err != nil {
			return err
		}
	}
	return f.dir.done(r)
}

// finish gives the file its attributes, or removes it if it has failed, and returns its other names.
func (f *targetFile) finish(r *restoring) ([]otherName, error) {
	if f.device != "" {
		return nil, nil
	}
	if _, err := f.acquire(r); err != nil { // it may have been closed to make room for others
		if err := f.fail(r, err); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	fd, failed := f.fd, f.failed
	f.fd = -1
	f.mu.Unlock()
	others := f.first.end(failed)
	if failed {
		if fd >= 0 {
			_ = r.open.close(fd)
		}
		return others, f.remove(r, others)
	}
	err := setAttributes(fd, f.dir.fd, f.node.Name, f.node, f.dir.inherited())
	if closeErr := r.open.close(fd); err == nil {
		err = closeErr // some file systems report only now that there was no space
	}
	if err != nil {
		return others, f.fail(r, err)
	}
	return others, nil
}

// remove removes a file that could not be restored, with all of its names.
func (f *targetFile) remove(r *restoring, others []otherName) error {
	if !f.made {
		return nil
	}
	for _, other := range others {
		err := removeAt(other.dir.fd, other.name, r.report)
		if err == nil {
			err = fmt.Errorf("is another name of %s, which could not be restored", f.dir.join(f.node.Name))
		}
		if err := r.fault(other.dir.join(other.name), err); err != nil {
			return err
		}
	}
	if err := removeAt(f.dir.fd, f.node.Name, r.report); err != nil && !errors.Is(err, unix.ENOENT) {
		return r.fault(f.dir.join(f.node.Name), fmt.Errorf("remove what was written of it: %w", err))
	}
	return nil
}

func allZero(b []byte) bool {
	return len(b) > 0 && b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

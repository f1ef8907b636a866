package archive

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// targetFile is a file of the target that is not complete yet.
type targetFile struct {
	dir     *targetDir
	node    repository.Node
	waiting atomic.Int32 // pieces that are not written
	// device is the path of the target if this is a whole block device's content, for which others open and close it;
	// blank says that what is not written there is zero.
	device string
	blank  bool

	// writing is held by whoever writes: the kernel lets only one at a time write into a regular file, and the others would spend
	// on waiting for it the CPU time that the next pieces need.
	writing sync.Mutex

	mu     sync.Mutex
	fd     int // -1 while it is not open
	made   bool
	failed bool
	ended  bool        // nothing more is written
	others []otherName // that wait for the end
}

// otherName is a hard link to a file that is not complete yet.
type otherName struct {
	dir  *targetDir
	name string
}

func newTargetFile(dir *targetDir, node repository.Node) *targetFile {
	f := &targetFile{dir: dir, node: node, fd: -1}
	f.waiting.Store(int32(max(len(node.Content), 1)))
	dir.waiting.Add(1)
	return f
}

// open makes the file at its full length, if that has not been done, and returns its descriptor.
func (f *targetFile) open(r *restoring) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 || f.failed {
		return f.fd, nil
	}
	flags := unix.O_WRONLY
	if !f.made {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	err := r.create(f.dir, f.node.Name, func() (err error) {
		f.fd, err = r.open.keep(openAt(f.dir.fd, f.node.Name, flags, 0o600))
		return err
	})
	if err == nil && !f.made {
		f.made = true
		err = retry(func() error { return unix.Ftruncate(f.fd, int64(f.node.Size)) })
	}
	return f.fd, err
}

// write puts a piece at its offset; blank says that it is all zeros. Blocks of zeros are left as the hole that a new
// file has there.
func (f *targetFile) write(r *restoring, offset int64, piece []byte, blank bool) error {
	fd, err := f.open(r)
	switch {
	case err != nil || fd < 0:
	case f.device != "" && !f.blank:
		err = writeAt(fd, offset, piece)
	case f.device != "" && !blank:
		err = writeData(fd, offset, piece)
	case !blank:
		f.writing.Lock()
		err = writeData(fd, offset, piece)
		f.writing.Unlock()
	}
	if err != nil {
		return f.fail(r, err)
	}
	return nil
}

// block is the unit in which file systems have holes, in bytes.
const block = 4096

// writeData writes a piece, but no block that is all zeros.
func writeData(fd int, offset int64, piece []byte) error {
	start := 0 // of what is to be written
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

// fail notes that the file cannot be restored. What is written of it is removed in the end: a file that looks whole
// and is not would be worse than none.
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

// also notes another name of the file, which shares its fate. False if the file could not be restored, and is removed.
func (f *targetFile) also(dir *targetDir, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return !f.failed
	}
	dir.waiting.Add(1)
	f.others = append(f.others, otherName{dir: dir, name: name})
	return true
}

// done says that one piece is written. The last one completes the file, and with it its other names.
func (f *targetFile) done(r *restoring) error {
	if f.waiting.Add(-1) > 0 {
		return nil
	}
	if err := f.finish(r); err != nil {
		if err := f.fail(r, err); err != nil {
			return err
		}
	}
	r.doneFiles.Add(1)
	r.report()
	for _, other := range f.others { // which are no more once it has ended
		if err := other.dir.done(r); err != nil {
			return err
		}
	}
	return f.dir.done(r)
}

func (f *targetFile) finish(r *restoring) error {
	if f.device != "" {
		return nil
	}
	f.mu.Lock()
	fd, failed := f.fd, f.failed
	f.fd, f.ended = -1, true
	f.mu.Unlock()
	if failed {
		if fd >= 0 {
			_ = r.open.close(fd)
		}
		return f.remove(r)
	}
	if err := setAttributes(fd, f.dir.fd, f.node.Name, f.node, f.dir.inherited()); err != nil {
		_ = r.open.close(fd)
		return err
	}
	return r.open.close(fd) // some file systems tell only now that there was no space
}

// remove removes a file that could not be restored, under all of its names.
func (f *targetFile) remove(r *restoring) error {
	if !f.made {
		return nil
	}
	for _, other := range f.others {
		err := removeAt(other.dir.fd, other.name)
		if err == nil {
			err = fmt.Errorf("is another name of %s, which could not be restored", f.dir.join(f.node.Name))
		}
		if err := r.fault(other.dir.join(other.name), err); err != nil {
			return err
		}
	}
	return removeAt(f.dir.fd, f.node.Name)
}

func allZero(b []byte) bool {
	return len(b) > 0 && b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

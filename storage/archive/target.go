package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// targetDir is a directory of the target that is not complete yet.
type targetDir struct {
	place
	parent  *targetDir
	fd      int
	node    repository.Node
	waiting atomic.Int32 // entries that are not complete, and the planner while it is in here

	before    []string // extended attributes that it had when it was opened
	handsDown bool     // what is made in it is given an access control list
}

func newTargetDir(parent *targetDir, fd int, node repository.Node) *targetDir {
	d := &targetDir{parent: parent, fd: fd, node: node}
	d.waiting.Store(1)
	if parent != nil {
		d.place = place{above: &parent.place, name: node.Name, depth: parent.depth + 1}
		parent.waiting.Add(1)
	}
	return d
}

// done says that one entry, or the planner, is through. After the last one nothing changes the directory any more:
// it gets its attributes, and the parent is told.
func (d *targetDir) done(r *restoring) error {
	for ; d != nil && d.waiting.Add(-1) == 0; d = d.parent {
		err := setAttributes(d.fd, d.fd, ".", d.node, d.before)
		if d.parent != nil { // the root's descriptor is Restore's
			_ = r.open.close(d.fd)
		}
		if err != nil {
			if err := r.fault(d.path(), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// setAttributes gives an open file or directory its owner, extended attributes, times and mode. It is also known as
// name in dir. Of the extended attributes that it may have before, it loses those that the node does not have. The order
// matters: a change of owner clears set-user-id bits and file capabilities, an access control list lets others in than
// the mode says, and a mode may take away the right to do the rest.
func setAttributes(fd, dir int, name string, node repository.Node, before []string) error {
	mode := permissions(node.Mode)
	owned := true
	if err := retry(func() error { return unix.Fchown(fd, int(node.UID), int(node.GID)) }); err != nil {
		if !unprivileged(err) {
			return fmt.Errorf("set owner: %w", err)
		}
		owned = false
	}
	if err := strip(before, node, func(name string) error { return unix.Fremovexattr(fd, name) }); err != nil {
		return err
	}
	for _, attribute := range node.ExtendedAttributes {
		err := retry(func() error { return unix.Fsetxattr(fd, attribute.Name, attribute.Value, 0) })
		if err != nil && !ignorable(attribute.Name, err) {
			return attributeError(attribute, err, hasRoom(fd))
		}
	}
	if err := setTimes(dir, name, node); err != nil {
		return err
	}
	if !owned { // those bits would lend the rights of an owner that the file does not have
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	if err := retry(func() error { return unix.Fchmod(fd, mode) }); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

func setTimes(dir int, name string, node repository.Node) error {
	access, err := unix.TimeToTimespec(node.AccessTime)
	if err != nil {
		return fmt.Errorf("access time %s: %w", node.AccessTime, err)
	}
	modified, err := unix.TimeToTimespec(node.ModTime)
	if err != nil {
		return fmt.Errorf("time %s: %w", node.ModTime, err)
	}
	times := []unix.Timespec{access, modified}
	if err := retry(func() error { return unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

// unprivileged reports whether a change of owner failed because we are not allowed to, and nobody expects us to be.
func unprivileged(err error) bool { return errors.Is(err, unix.EPERM) && os.Geteuid() != 0 }

// create makes an entry with call; if something is in the way that may be replaced, it is removed.
func (r *restoring) create(dir *targetDir, name string, call func() error) error {
	err := retry(call)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if !r.replace {
		return fmt.Errorf("%w in the target; restore into an empty directory, or allow to replace what is there", ErrInTheWay)
	}
	if err := removeAt(dir.fd, name); err != nil {
		return fmt.Errorf("remove what is in the way: %w", err)
	}
	return retry(call)
}

// removeAt removes an entry, and all that is in it if it is a directory.
func removeAt(dir int, name string) error {
	err := retry(func() error { return unix.Unlinkat(dir, name, 0) })
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	fd, openErr := openDirAt(dir, name)
	if openErr != nil {
		return err
	}
	defer closeFD(fd)
	names, err := readNames(fd)
	if err != nil {
		return err
	}
	for _, entry := range names {
		if err := removeAt(fd, entry); err != nil {
			return err
		}
	}
	return retry(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

// rootDir is the target itself, which is open.
func (r *restoring) rootDir(node repository.Node) (d *targetDir, err error) {
	d = newTargetDir(nil, r.root, node)
	d.before, d.handsDown, err = takeOver(d.fd)
	return d, err
}

// makeDir makes a directory, or uses the one that is there, and opens it.
func (r *restoring) makeDir(parent *targetDir, node repository.Node) (*targetDir, error) {
	existed := false
	err := r.create(parent, node.Name, func() error {
		err := unix.Mkdirat(parent.fd, node.Name, 0o700)
		if errors.Is(err, unix.EEXIST) {
			if stat, statErr := statAt(parent.fd, node.Name); statErr == nil && nodeType(stat.Mode) == repository.DirNode {
				existed = true
				return nil
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	fd, err := r.open.keep(openDirAt(parent.fd, node.Name))
	if err != nil {
		return nil, err
	}
	var (
		before    []string
		handsDown bool
	)
	if existed || parent.handsDown { // others have no attributes yet
		before, handsDown, err = takeOver(fd)
	}
	if err == nil && handsDown && !existed { // as nobody relies on it yet, and all that is made in it would inherit it
		err = retry(func() error { return unix.Fremovexattr(fd, defaultList) })
		handsDown = false
	}
	if err != nil {
		_ = r.open.close(fd)
		return nil, err
	}
	d := newTargetDir(parent, fd, node)
	d.before, d.handsDown = before, handsDown
	return d, nil
}

func (r *restoring) makeSymlink(dir *targetDir, node repository.Node) error {
	err := r.create(dir, node.Name, func() error { return unix.Symlinkat(node.LinkTarget, dir.fd, node.Name) })
	if err != nil {
		return err
	}
	err = retry(func() error {
		return unix.Fchownat(dir.fd, node.Name, int(node.UID), int(node.GID), unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil && !unprivileged(err) {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := setOwnAttributes(dir, node); err != nil {
		return err
	}
	return setTimes(dir.fd, node.Name, node)
}

// makeSpecial makes a device, a fifo or a socket.
func (r *restoring) makeSpecial(dir *targetDir, node repository.Node) error {
	_, bits := typeBits(node.Type)
	err := r.create(dir, node.Name, func() error {
		return unix.Mknodat(dir.fd, node.Name, bits|0o600, int(node.Device))
	})
	if err != nil {
		return err
	}
	// Opening the thing itself could block or wake a driver: O_PATH only refers to it.
	fd, err := openAt(dir.fd, node.Name, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	err = retry(func() error { return unix.Fchownat(fd, "", int(node.UID), int(node.GID), unix.AT_EMPTY_PATH) })
	if err != nil && !unprivileged(err) {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := setOwnAttributes(dir, node); err != nil {
		return err
	}
	if err := setTimes(dir.fd, node.Name, node); err != nil {
		return err
	}
	if err := retry(func() error { return unix.Chmod(procPath(fd), permissions(node.Mode&^(fs.ModeSetuid|fs.ModeSetgid))) }); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

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

// done says that one piece is written. The last one completes the file.
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
	return f.dir.done(r)
}

func (f *targetFile) finish(r *restoring) error {
	if f.device != "" {
		return nil
	}
	f.mu.Lock()
	fd, failed, made := f.fd, f.failed, f.made
	f.fd = -1
	f.mu.Unlock()
	if failed {
		if fd >= 0 {
			_ = r.open.close(fd)
		}
		if made {
			return removeAt(f.dir.fd, f.node.Name)
		}
		return nil
	}
	if err := setAttributes(fd, f.dir.fd, f.node.Name, f.node, f.dir.inherited()); err != nil {
		_ = r.open.close(fd)
		return err
	}
	return r.open.close(fd) // some file systems tell only now that there was no space
}

func allZero(b []byte) bool {
	return len(b) > 0 && b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

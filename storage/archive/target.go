package archive

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// targetDir is a directory of the target that is not complete yet.
type targetDir struct {
	*place
	parent  *targetDir
	fd      int
	node    treeblob.Node
	waiting atomic.Int32 // entries that are not complete, plus one while the planner is in here

	before    []string // extended attributes that it had when it was opened
	handsDown bool     // what is made in it inherits an access control list
}

func newTargetDir(parent *targetDir, fd int, node treeblob.Node) *targetDir {
	d := &targetDir{place: &place{}, parent: parent, fd: fd, node: node}
	d.waiting.Store(1)
	if parent != nil {
		d.place = &place{above: parent.place, name: node.Name, depth: parent.depth + 1}
		parent.waiting.Add(1)
	}
	return d
}

// done says that one entry, or the planner, has finished. After the last one nothing changes the directory any more: it
// gets its attributes, and the parent is told.
func (d *targetDir) done(r *restoring) error {
	for ; d != nil && d.waiting.Add(-1) == 0; d = d.parent {
		err := setAttributes(d.fd, d.fd, ".", d.node, d.before)
		if d.parent != nil { // Restore owns the root's descriptor
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

// setAttributes gives an open file or directory its owner, extended attributes, times and mode. name is its name in
// dir. before are extended attributes that it may have already; it loses those that the node does not have. The order
// matters: a change of owner clears set-user-id bits and file capabilities, an access control list lets in others than
// the mode says, and a mode may take away the right to do the rest.
func setAttributes(fd, dir int, name string, node treeblob.Node, before []string) error {
	lent, err := setOwner(node, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) })
	if err != nil {
		return err
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
	if err := retry(func() error { return unix.Fchmod(fd, permissions(node.Mode)&^lent) }); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

// setOwner gives an entry its owner and its group with chown. Without privileges it does as much as the system allows.
// lent are the mode bits that would then lend the rights of an owner, or of a group, that the entry does not have.
func setOwner(node treeblob.Node, chown func(uid, gid int) error) (lent uint32, err error) {
	err = retry(func() error { return chown(int(node.UID), int(node.GID)) })
	if err != nil && unprivileged(err) {
		const unchanged = -1
		for _, part := range []struct {
			uid, gid int
			lends    uint32
		}{{int(node.UID), unchanged, unix.S_ISUID}, {unchanged, int(node.GID), unix.S_ISGID}} {
			if err = retry(func() error { return chown(part.uid, part.gid) }); err != nil && unprivileged(err) {
				lent |= part.lends
				err = nil
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return lent, fmt.Errorf("set owner: %w", err)
	}
	return lent, nil
}

func setTimes(dir int, name string, node treeblob.Node) error {
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

// unprivileged reports whether a change of owner failed because we lack the right, and nobody expects us to have it.
func unprivileged(err error) bool { return errors.Is(err, unix.EPERM) && os.Geteuid() != 0 }

// create makes an entry with call. If something is in the way that may be replaced, create removes it.
func (r *restoring) create(dir *targetDir, name string, call func() error) error {
	err := retry(call)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if !r.replace {
		return fmt.Errorf("%w in the target; restore into an empty directory, or allow to replace what is there", ErrInTheWay)
	}
	if err := removeAt(dir.fd, name, r.report); err != nil {
		return fmt.Errorf("remove what is in the way: %w", err)
	}
	return retry(call)
}

// removeAt removes an entry, and everything in it if it is a directory, but nothing across a mount. It calls step for
// each removed entry.
func removeAt(dir int, name string, step func()) error {
	step()
	err := retry(func() error { return unix.Unlinkat(dir, name, 0) })
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	fd, openErr := openBelow(dir, name)
	if errors.Is(openErr, errMounted) {
		return openErr
	}
	if openErr != nil {
		return err
	}
	defer closeFD(fd)
	names, err := readNames(fd)
	if err != nil {
		return err
	}
	for _, entry := range names {
		if err := removeAt(fd, entry, step); err != nil {
			return err
		}
	}
	return retry(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

// rootDir is the target itself, which is open already.
func (r *restoring) rootDir(node treeblob.Node) (d *targetDir, err error) {
	d = newTargetDir(nil, r.root, node)
	d.before, d.handsDown, err = takeOver(d.fd)
	return d, err
}

// makeDir makes a directory, or uses the existing one, and opens it.
func (r *restoring) makeDir(parent *targetDir, node treeblob.Node) (*targetDir, error) {
	existed := false
	err := r.create(parent, node.Name, func() error {
		err := unix.Mkdirat(parent.fd, node.Name, 0o700)
		if errors.Is(err, unix.EEXIST) {
			if stat, statErr := statAt(parent.fd, node.Name); statErr == nil && nodeType(stat.Mode) == treeblob.Dir {
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
	if existed || parent.handsDown { // other directories have no attributes yet
		before, handsDown, err = takeOver(fd)
	}
	if err == nil && handsDown && !existed { // nobody relies on the list yet, and everything made in the directory would inherit it
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

func (r *restoring) makeSymlink(dir *targetDir, node treeblob.Node) error {
	err := r.create(dir, node.Name, func() error { return unix.Symlinkat(node.LinkTarget, dir.fd, node.Name) })
	if err != nil {
		return err
	}
	_, err = setOwner(node, func(uid, gid int) error {
		return unix.Fchownat(dir.fd, node.Name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	if err := setOwnAttributes(dir, node); err != nil {
		return err
	}
	return setTimes(dir.fd, node.Name, node)
}

// makeSpecial makes a device, a fifo or a socket.
func (r *restoring) makeSpecial(dir *targetDir, node treeblob.Node) error {
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
	lent, err := setOwner(node, func(uid, gid int) error { return unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH) })
	if err != nil {
		return err
	}
	if err := setOwnAttributes(dir, node); err != nil {
		return err
	}
	if err := setTimes(dir.fd, node.Name, node); err != nil {
		return err
	}
	if err := retry(func() error { return unix.Chmod(procPath(fd), permissions(node.Mode)&^lent) }); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// device saves a block device as one file of the device's size.
func (w *walker) device(path, name string, top *pendingDir) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the device: %w", err)
	}
	defer f.Close()
	stat, err := fstat(int(f.Fd()))
	if err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if stat.Size, err = f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("find the size of %s: %w", path, err)
	}
	node := treeblob.Node{
		Name: name, Type: treeblob.File, Mode: 0o600, UID: stat.Uid, GID: stat.Gid,
		ModTime: timeOf(stat.Mtim), AccessTime: timeOf(stat.Mtim), ChangeTime: timeOf(stat.Ctim), Size: uint64(stat.Size),
	}
	top.add(&node)
	pending := newPendingFile(top, &node)
	read, err := w.content(int(f.Fd()), extent{end: stat.Size}, pending)
	if err == nil && read < stat.Size {
		err = fmt.Errorf("ended after %d of %d bytes", read, stat.Size)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	w.count(read)
	if err := w.releaseSmall(); err != nil {
		return err
	}
	return pending.done(w.ctx, w.saver)
}

// restoreDevice writes the content of a block device onto one, or into a file.
func (r *restoring) restoreDevice(ctx context.Context, node treeblob.Node, target Target) (err error) {
	if _, err := r.repo.Judge(&node); err != nil { // before we make or open anything that large
		return fmt.Errorf("%q in repository snapshot %s, tree %s: %w", node.Name, target.Snapshot.ID, target.Snapshot.Tree, err)
	}
	out, blank, err := openDeviceTarget(target, int64(node.Size))
	if err != nil {
		return err
	}
	defer func() {
		// A file that looks whole but is not would be worse than none.
		if info, statErr := out.Stat(); err != nil && statErr == nil && info.Mode().IsRegular() {
			err = errors.Join(err, os.Remove(target.Dir))
		}
		// Some file systems report only at close that there was no space.
		if closeErr := out.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close: %w", closeErr)
		}
	}()
	file := &targetFile{node: node, fd: int(out.Fd()), made: true, device: target.Dir, blank: blank}
	file.waiting.Store(int32(max(len(node.Content), 1)))
	if err := r.run(ctx, func(p *planner) error { return p.device(file) }); err != nil {
		return err
	}
	if err := syncTarget(out); err != nil {
		return fmt.Errorf("sync: %w", r.explain(err))
	}
	return nil
}

// syncTarget makes sure that the written data reaches the disk; for a file also its name, which may be new.
func syncTarget(out *os.File) error {
	info, err := out.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, out.Sync())
	}
	return retry(func() error { return unix.Syncfs(int(out.Fd())) })
}

// device plans the content of a block device.
func (p *planner) device(file *targetFile) error {
	p.files.Add(1)
	p.bytes.Add(int64(file.node.Size))
	if err := p.content(file); err != nil {
		return err
	}
	return p.flush()
}

// openDeviceTarget opens the target for a block device's content. blank says that the target is known to hold nothing
// but zeros.
func openDeviceTarget(target Target, size int64) (out *os.File, blank bool, err error) {
	info, err := os.Stat(target.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		out, err = os.OpenFile(target.Dir, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		blank = true
	case err != nil:
	case info.IsDir():
		err = errors.New("it is a directory, but the volume is a block device: name a block device, or a file to be made")
	case info.Mode().IsRegular() && !target.Replace:
		err = fmt.Errorf("the file %w; name another one, or allow to replace it", ErrInTheWay)
	case info.Mode().IsRegular():
		out, err = os.OpenFile(target.Dir, os.O_WRONLY|os.O_TRUNC, 0)
		blank = true
	case info.Mode()&fs.ModeDevice == 0 || info.Mode()&fs.ModeCharDevice != 0:
		err = errors.New("it is no block device and no file")
	case !target.Replace && !target.Blank:
		err = fmt.Errorf("what the device holds %w; say that it is blank, or allow to replace it", ErrInTheWay)
	default:
		// O_EXCL keeps us from writing to devices that are mounted or otherwise in use.
		out, err = os.OpenFile(target.Dir, os.O_WRONLY|unix.O_EXCL, 0)
		return checkDevice(out, target.Blank, size, err)
	}
	if err != nil {
		return nil, false, err
	}
	if err := out.Truncate(size); err != nil {
		return nil, false, errors.Join(err, out.Close())
	}
	return out, blank, nil
}

// checkDevice makes sure that a volume fits onto a device.
func checkDevice(out *os.File, blank bool, size int64, err error) (*os.File, bool, error) {
	if err != nil {
		return nil, false, err
	}
	room, err := out.Seek(0, io.SeekEnd)
	if err == nil && room < size {
		err = fmt.Errorf("the device has %d bytes, the volume needs %d", room, size)
	}
	if err != nil {
		return nil, false, errors.Join(err, out.Close())
	}
	return out, blank, nil
}

package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// retry repeats a system call that a signal has interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openAt opens an entry of a directory, but never the target of a symlink of that name.
func openAt(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

func openDirAt(dir int, name string) (int, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openDir opens the directory at a path that the user gave. Symlinks in it are the user's own choice.
func openDir(path string) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open directory %s: %w", path, err)
	}
	return fd, nil
}

// statAt describes an entry itself, even if it is a symlink.
func statAt(dir int, name string) (stat unix.Stat_t, err error) {
	err = retry(func() error { return unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	return stat, err
}

func fstat(fd int) (stat unix.Stat_t, err error) {
	err = retry(func() error { return unix.Fstat(fd, &stat) })
	return stat, err
}

// closeFD closes a descriptor whose close errors mean nothing: it was only read from, or has failed before.
func closeFD(fd int) { _ = unix.Close(fd) }

// fileReader reads a stretch of an open file. It makes only read calls: os.File would make two more calls to find out
// whether the file can be polled, which matters for very many files.
type fileReader struct {
	fd       int
	at, left int64
}

// Read implements io.Reader.
func (r *fileReader) Read(p []byte) (n int, err error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	err = retry(func() error {
		n, err = unix.Pread(r.fd, p, r.at)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	r.at += int64(n)
	r.left -= int64(n)
	return n, nil
}

// readLinkAt returns a symlink's target.
func readLinkAt(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// newNode makes the node of an entry from what the system says about it.
//
//nolint:unconvert // the numbers are of other widths on other architectures
func newNode(name string, stat *unix.Stat_t) treeblob.Node {
	node := treeblob.Node{
		Name: name, Type: nodeType(stat.Mode), Mode: fileMode(stat.Mode),
		ModTime: timeOf(stat.Mtim), ChangeTime: timeOf(stat.Ctim),
		UID: stat.Uid, GID: stat.Gid, Inode: stat.Ino, Links: uint64(stat.Nlink),
	}
	// Reading a file may change its access time. If the tree recorded that, it would differ from each earlier one.
	node.AccessTime = node.ModTime
	switch node.Type {
	case treeblob.File:
		node.Size = uint64(stat.Size)
	case treeblob.Device, treeblob.CharDevice:
		node.Device = uint64(stat.Rdev)
	}
	if node.Type != treeblob.Dir && stat.Nlink > 1 {
		node.DeviceID = uint64(stat.Dev)
	}
	return node
}

//nolint:unconvert // as above
func timeOf(ts unix.Timespec) time.Time { return time.Unix(int64(ts.Sec), int64(ts.Nsec)).UTC() }

func nodeType(mode uint32) treeblob.Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return treeblob.File
	case unix.S_IFDIR:
		return treeblob.Dir
	case unix.S_IFLNK:
		return treeblob.Symlink
	case unix.S_IFBLK:
		return treeblob.Device
	case unix.S_IFCHR:
		return treeblob.CharDevice
	case unix.S_IFIFO:
		return treeblob.Fifo
	case unix.S_IFSOCK:
		return treeblob.Socket
	default:
		return ""
	}
}

// typeBits are the bits that stand for the type of an entry in Go's and in Unix's kind of mode.
func typeBits(t treeblob.Type) (goBits fs.FileMode, unixBits uint32) {
	switch t {
	case treeblob.Dir:
		return fs.ModeDir, unix.S_IFDIR
	case treeblob.Symlink:
		return fs.ModeSymlink, unix.S_IFLNK
	case treeblob.Device:
		return fs.ModeDevice, unix.S_IFBLK
	case treeblob.CharDevice:
		return fs.ModeDevice | fs.ModeCharDevice, unix.S_IFCHR
	case treeblob.Fifo:
		return fs.ModeNamedPipe, unix.S_IFIFO
	case treeblob.Socket:
		return fs.ModeSocket, unix.S_IFSOCK
	default:
		return 0, unix.S_IFREG
	}
}

func fileMode(mode uint32) fs.FileMode {
	bits, _ := typeBits(nodeType(mode))
	bits |= fs.FileMode(mode & 0o777)
	if mode&unix.S_ISUID != 0 {
		bits |= fs.ModeSetuid
	}
	if mode&unix.S_ISGID != 0 {
		bits |= fs.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		bits |= fs.ModeSticky
	}
	return bits
}

// permissions are the bits of mode that chmod sets.
func permissions(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

// procPath is a path to an open descriptor, for system calls that take only paths.
func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// readAttributes reads the extended attributes at a path that leads straight to the entry. Without follow, it does not
// follow the path's last element if that is a symlink.
func readAttributes(path string, follow bool) ([]treeblob.ExtendedAttribute, error) {
	list, get := unix.Llistxattr, unix.Lgetxattr
	if follow {
		list, get = unix.Listxattr, unix.Getxattr
	}
	return attributes(
		func(buf []byte) (int, error) { return list(path, buf) },
		func(name string, buf []byte) (int, error) { return get(path, name, buf) })
}

// readAttributesOf reads the extended attributes of an open file or directory.
func readAttributesOf(fd int) ([]treeblob.ExtendedAttribute, error) {
	return attributes(
		func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

// attributeNames makes a call that lists extended attributes. It returns none if the file system does not support them.
func attributeNames(list func([]byte) (int, error)) ([]string, error) {
	raw, err := sized(list)
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(raw) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"), nil
}

// attributes reads the attributes that can be read and saved, and names the first one that cannot. In the format a name
// is text: other bytes would change on the way, and several such names would become one.
func attributes(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]treeblob.ExtendedAttribute, error) {
	names, err := attributeNames(list)
	if err != nil {
		return nil, err
	}
	var (
		found  []treeblob.ExtendedAttribute
		odd    []string
		failed error
	)
	for _, name := range names {
		if !utf8.ValidString(name) {
			odd = append(odd, strconv.Quote(name))
			continue
		}
		value, err := sized(func(buf []byte) (int, error) { return get(name, buf) })
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) { // removed since the list was read
			continue
		}
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("read extended attribute %s: %w", name, err))
			continue
		}
		found = append(found, treeblob.ExtendedAttribute{Name: name, Value: value})
	}
	if len(odd) > 0 {
		failed = cmp.Or(failed, fmt.Errorf("extended attributes cannot be saved whose names are not UTF-8: %s", strings.Join(odd, ", ")))
	}
	return found, failed
}

// sized makes a call that fills a buffer of unknown size: once to ask, once to read, and again if the content grew in
// between.
func sized(call func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := call(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buf := make([]byte, size)
		n, err := call(buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

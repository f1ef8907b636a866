package archive

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// POSIX access control lists. A directory with a default list hands that list down to everything made in it, as access
// list, and to directories also as their default list.
const (
	accessList  = "system.posix_acl_access"
	defaultList = "system.posix_acl_default"
)

// takeOver looks at the extended attributes of an open directory before anything is restored into it. handsDown says
// whether the directory gives access control lists to entries made in it.
func takeOver(fd int) (before []string, handsDown bool, err error) {
	before, err = attributeNames(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	return before, slices.Contains(before, defaultList), err
}

// strip removes the extended attributes that a node does not have. An entry may have them because it was there already,
// or because it inherited an access control list when it was made; they would let in others than the backup says.
func strip(names []string, node treeblob.Node, remove func(name string) error) error {
	for _, name := range names {
		kept := slices.ContainsFunc(node.ExtendedAttributes, func(a treeblob.ExtendedAttribute) bool { return a.Name == name })
		if kept || !removable(name) {
			continue
		}
		err := retry(func() error { return remove(name) })
		if err != nil && !errors.Is(err, unix.ENODATA) && !ignorable(name, err) {
			return fmt.Errorf("remove extended attribute %s: %w", name, err)
		}
	}
	return nil
}

// removable reports whether an extended attribute is the user's. Others, such as labels, are the target system's own.
func removable(name string) bool {
	return name == accessList || name == defaultList || strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "trusted.")
}

// inherited are the extended attributes that an entry may have inherited from the directory it was made in, if the
// entry is no directory.
func (d *targetDir) inherited() []string {
	if !d.handsDown {
		return nil
	}
	return []string{accessList}
}

// setOwnAttributes sets the extended attributes of an entry without opening or following the entry.
func setOwnAttributes(dir *targetDir, node treeblob.Node) error {
	path := procPath(dir.fd) + "/" + node.Name
	if node.Type != treeblob.Symlink { // a symlink never has a list
		if err := strip(dir.inherited(), node, func(name string) error { return unix.Lremovexattr(path, name) }); err != nil {
			return err
		}
	}
	for _, attribute := range node.ExtendedAttributes {
		err := retry(func() error { return unix.Lsetxattr(path, attribute.Name, attribute.Value, 0) })
		if err != nil && !ignorable(attribute.Name, err) {
			return attributeError(attribute, err, hasRoom(dir.fd))
		}
	}
	return nil
}

// ignorable reports whether an extended attribute that cannot be set is no loss of the user's data: labels are the
// target system's business, and trusted attributes are not for the unprivileged.
func ignorable(name string, err error) bool {
	if isLabel(name) {
		return true
	}
	return errors.Is(err, unix.EPERM) && os.Geteuid() != 0
}

// isLabel reports whether an extended attribute is the label of a security module: of SELinux, Smack, IMA, EVM.
func isLabel(name string) bool {
	return strings.HasPrefix(name, "security.") && name != "security.capability"
}

// attributeError says why an extended attribute could not be set, in a file system that has room or has none. The
// attributes of one file have little room, often no more than a block. When that is used up, some file systems say that
// they are full.
func attributeError(attribute treeblob.ExtendedAttribute, err error, room bool) error {
	if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) && room {
		return fmt.Errorf("extended attribute %s of %d bytes is larger than the target's file system allows (%s)",
			attribute.Name, len(attribute.Value), err.Error())
	}
	return fmt.Errorf("set extended attribute %s: %w", attribute.Name, err)
}

// hasRoom reports whether the file system of an open file has as much free space as any extended attribute could take.
func hasRoom(fd int) bool {
	const largest = 64 << 10
	var stat unix.Statfs_t
	err := retry(func() error { return unix.Fstatfs(fd, &stat) })
	return err == nil && stat.Bavail > 2*largest/uint64(max(stat.Bsize, 512))
}

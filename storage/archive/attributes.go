package archive

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// setOwnAttributes sets the extended attributes of an entry that is not opened, and not followed.
func setOwnAttributes(dir *targetDir, node repository.Node) error {
	for _, attribute := range node.ExtendedAttributes {
		path := procPath(dir.fd) + "/" + node.Name
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
	if name == "security.selinux" {
		return true
	}
	return errors.Is(err, unix.EPERM) && os.Geteuid() != 0
}

// attributeError says why an extended attribute could not be set, in a file system that has room or has none. There is
// room for the attributes of one file only, often no more than a block, and where that is too little, some file systems
// say that they are full.
func attributeError(attribute repository.ExtendedAttribute, err error, room bool) error {
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

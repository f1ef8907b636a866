package mounts

import (
	"os"

	"golang.org/x/sys/unix"
)

// The requests of <linux/fs.h> that freeze and thaw a mounted file system.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// Freeze stops all writes to a mounted filesystem, until Thaw. It stays frozen when this process ends.
func Freeze(point string) error { return request(point, fiFreeze, "freeze") }

// Thaw undoes Freeze. It fails if the filesystem is not frozen.
func Thaw(point string) error { return request(point, fiThaw, "thaw") }

func request(point string, number uint, verb string) error {
	dir, err := os.Open(point)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.IoctlSetInt(int(dir.Fd()), number, 0); err != nil {
		return &os.PathError{Op: verb, Path: point, Err: err}
	}
	return nil
}

package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
	"github.com/stsbackup/stsbackup/test/cluster/mounts"
)

// Names of the data in an object's folder.
const (
	imageName = "disk.img"
	treeName  = "fs"
)

// cloneFile makes a file that shares all blocks with another.
func cloneFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := unix.IoctlFileClone(int(target.Fd()), int(source.Fd())); err != nil {
		_ = target.Close()
		return fmt.Errorf("clone %s: %w", from, err)
	}
	return target.Close()
}

// cloneData clones the data of one object's folder into another's.
func cloneData(kind Kind, from, to string) error {
	if kind == Dir {
		return run("cp", "--archive", "--reflink=always", filepath.Join(from, treeName), filepath.Join(to, treeName))
	}
	return cloneFile(filepath.Join(from, imageName), filepath.Join(to, imageName))
}

// makeEmpty makes the data of a new volume.
func makeEmpty(v Volume, dir string) error {
	if v.Kind == Dir {
		tree := filepath.Join(dir, treeName)
		if err := os.Mkdir(tree, 0o755); err != nil {
			return err
		}
		return os.Chmod(tree, 0o777) // whatever the umask
	}
	image := filepath.Join(dir, imageName)
	f, err := os.OpenFile(image, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(v.Size), f.Close()); err != nil {
		return err
	}
	if v.Block {
		return nil
	}
	// Use blocks of 4096 bytes for every size: a device whose sectors turn out to be that large must still be able to
	// mount it.
	return run("mkfs."+v.FSType, "-q", "-F", "-b", "4096", "-m", "0",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", image)
}

// grow makes an unused image larger. Growing a mounted filesystem would need CAP_SYS_RESOURCE, which the driver may
// lack.
func grow(format Format, image string, size int64) error {
	if err := os.Truncate(image, size); err != nil {
		return err
	}
	if format.Block {
		return nil
	}
	// A source that was cut while mounted has a journal to replay first. Status 1: errors were corrected.
	var exit *exec.ExitError
	if err := run("e2fsck", "-f", "-p", image); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return err
	}
	return run("resize2fs", image)
}

// freeze stops writes to a volume until the caller calls thaw. An unused volume needs nothing.
func (s *Store) freeze(v Volume) (thaw func(), err error) {
	nothing := func() {}
	if v.Kind != Image {
		return nothing, nil
	}
	device, err := loopdev.Of(s.ImagePath(v.ID))
	if err != nil || device == "" {
		return nothing, err
	}
	if v.Block {
		return nothing, run("blockdev", "--flushbufs", device)
	}
	point, err := mounts.PointOf(device)
	if err != nil || point == "" {
		return nothing, err
	}
	if err := mounts.Freeze(point); err != nil {
		return nil, err
	}
	return func() { _ = mounts.Thaw(point) }, nil // fails only if it is not frozen
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

package holder

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
	"github.com/stsbackup/stsbackup/test/cluster/process"
	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

// volumesSize is the size of the volumes' filesystem. Its file is sparse: it takes only the space that is written.
const volumesSize = 40 << 30

// mountVolumes makes the filesystem with reflinks on which the CSI driver keeps volumes.
func mountVolumes(ctx context.Context, s *process.Supervisor, c spec.Cluster) error {
	image := c.RunPath("volumes.img")
	f, err := os.Create(image)
	if err != nil {
		return fmt.Errorf("make the volumes' file system: %w", err)
	}
	if err := f.Truncate(volumesSize); err != nil {
		_ = f.Close()
		return fmt.Errorf("make the volumes' file system: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make the volumes' file system: %w", err)
	}
	if err := s.Run(ctx, "mkfs.xfs", "-q", "-m", "reflink=1", image); err != nil {
		return fmt.Errorf("make the volumes' file system: %w", err)
	}
	device, err := loopdev.Attach(image, c.Name()+"/store")
	if err != nil {
		return fmt.Errorf("mount the volumes' file system: %w", err)
	}
	defer device.Close() // the mount keeps it attached
	if err := os.MkdirAll(c.Volumes(), 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device.Name(), c.Volumes(), "xfs", 0, ""); err != nil {
		return fmt.Errorf("mount the volumes' file system: %w (is XFS in the kernel?)", err)
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/test/cluster/loopdev"
	"github.com/stsbackup/stsbackup/test/cluster/mounts"
)

// frozenAfter is how long a device that nothing uses any more may stay before its file system is taken for frozen.
const frozenAfter = time.Second

// releaseLoops waits until the cluster's loop devices have detached themselves, and helps those that do not.
func (h Harness) releaseLoops(ctx context.Context) error {
	began := h.Now()
	detached, thawed := false, false
	return until(ctx, loopsWithin, func() error {
		left, err := loopdev.Tagged(h.Spec.Name() + "/")
		if err != nil || len(left) == 0 {
			return err
		}
		if !detached {
			detached = true
			for _, name := range left {
				if err := loopdev.Detach(name); err != nil {
					return err
				}
			}
		}
		if !thawed && h.Now().Sub(began) > frozenAfter {
			thawed = true
			for _, name := range left {
				if err := h.thaw(name); err != nil {
					return err
				}
			}
		}
		return fmt.Errorf("loop devices are still attached: %s", strings.Join(left, ", "))
	})
}

// thaw lets the file system of a device go that was frozen when everything was killed, in the middle of a VolumeSnapshot: frozen, it
// outlives its last mount, and the device with it. Mounting the device again gives the same file system, and a way to reach it.
func (h Harness) thaw(device string) error {
	point := h.Spec.Dir + "/thaw"
	if err := os.MkdirAll(point, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.Remove(point) }()
	if err := unix.Mount(device, point, "ext4", 0, ""); err != nil {
		return nil //nolint:nilerr // no file system, or none that is left: then that is not what keeps the device
	}
	_ = mounts.Thaw(point) // fails if it is not frozen
	return unix.Unmount(point, 0)
}

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

// frozenAfter is how long an unused device may stay before we assume that its filesystem is frozen.
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

// thaw releases a device's filesystem that was frozen when everything was killed, in the middle of a VolumeSnapshot: a
// frozen filesystem outlives its last mount, and the device with it. Mounting the device again gives access to the same
// filesystem.
func (h Harness) thaw(device string) error {
	point := h.Spec.Dir + "/thaw"
	if err := os.MkdirAll(point, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.Remove(point) }()
	if err := unix.Mount(device, point, "ext4", 0, ""); err != nil {
		return nil //nolint:nilerr // the device has no filesystem, or none that is left: then something else keeps it
	}
	_ = mounts.Thaw(point) // fails if it is not frozen
	return unix.Unmount(point, 0)
}

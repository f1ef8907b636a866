package loopdev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// attempts bounds how often a free device is asked for: another process can take it between the answer and the use.
const attempts = 100

// Attach attaches a file to a free loop device and returns the device, opened. The device is detached when the file returned, every mount and
// every other user of it are closed.
//
// Not with direct I/O: for a file that shares blocks XFS then asks for sectors of 4096 bytes, so a clone's device would differ from its source's.
func Attach(path, tag string) (*os.File, error) {
	backing, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", path, err)
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], tag)
	for range attempts {
		index, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("attach %s: find a free loop device: %w", path, err)
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", index), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("attach %s: %w", path, err)
		}
		if err = unix.IoctlLoopConfigure(int(device.Fd()), &config); err == nil {
			return device, nil
		}
		_ = device.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attach %s to %s: %w", path, device.Name(), err)
		}
	}
	return nil, fmt.Errorf("attach %s: other processes took every free loop device %d times", path, attempts)
}

// Resize makes a device notice that the file behind it has another size.
func Resize(device *os.File) error {
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("resize %s: %w", device.Name(), err)
	}
	return nil
}

// Of returns the device that a file is attached to, "" if none. The path must be as seen in this mount namespace.
func Of(path string) (string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // detached since
		}
		if strings.TrimSuffix(string(data), "\n") == path {
			return "/dev/" + strings.Split(file, "/")[3], nil
		}
	}
	return "", nil
}

// Tagged returns the devices whose tag starts with a prefix, in order.
func Tagged(prefix string) ([]string, error) {
	attached, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range attached {
		name := "/dev/" + filepath.Base(filepath.Dir(dir))
		device, err := os.Open(name)
		if err != nil {
			continue // gone since
		}
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		_ = device.Close()
		if err == nil && strings.HasPrefix(unix.ByteSliceToString(info.File_name[:]), prefix) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// Detach asks for a device to be detached as soon as nobody uses it.
func Detach(name string) error {
	device, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detach %s: %w", name, err)
	}
	return nil
}

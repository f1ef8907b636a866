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

// attempts bounds how often to ask for a free device: another process can take it between the answer and the use.
const attempts = 100

// Attach attaches a file to a free loop device and returns the device, opened. The kernel detaches the device when the
// returned file, every mount and every other user of it are closed.
//
// It does not use direct I/O: for a file that shares blocks XFS then asks for sectors of 4096 bytes, so a clone's
// device would differ from its source's.
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

// Of returns the device to which a file is attached, "" if none. The path must be valid in this mount namespace.
func Of(path string) (string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // detached meanwhile
		}
		if strings.TrimSuffix(string(data), "\n") == path {
			return "/dev/" + strings.Split(file, "/")[3], nil
		}
	}
	return "", nil
}

// Tagged returns the devices whose tag starts with a prefix, after the devices that are stacked on them: the kubelet
// puts a loop device of its own on that of every block volume, without a tag and without autoclear, only to keep it
// open.
func Tagged(prefix string) ([]string, error) {
	all, err := attached()
	if err != nil {
		return nil, err
	}
	chosen := map[uint64]bool{} // by device number
	var names []string
	for more := true; more; {
		more = false
		for _, d := range all {
			if !chosen[d.number] && (strings.HasPrefix(d.tag, prefix) || chosen[d.behind]) {
				chosen[d.number] = true
				names = append(names, d.name)
				more = true
			}
		}
	}
	slices.Reverse(names) // stacked devices were found later
	return names, nil
}

// attachedDevice is a loop device in use: its number, its tag, and the number of the device behind it if that is no
// file.
type attachedDevice struct {
	name           string
	number, behind uint64
	tag            string
}

func attached() ([]attachedDevice, error) {
	dirs, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, err
	}
	var all []attachedDevice
	for _, dir := range dirs {
		name := "/dev/" + filepath.Base(filepath.Dir(dir))
		device, err := os.Open(name)
		if err != nil {
			continue // gone meanwhile
		}
		var st unix.Stat_t
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		if err == nil {
			err = unix.Fstat(int(device.Fd()), &st)
		}
		_ = device.Close()
		if err == nil {
			all = append(all, attachedDevice{name: name, number: st.Rdev, behind: info.Rdevice, tag: unix.ByteSliceToString(info.File_name[:])})
		}
	}
	return all, nil
}

// Detach asks the kernel to detach a device as soon as nobody uses it.
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

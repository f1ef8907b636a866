package mounts

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is one line of a mount table.
type Mount struct {
	// Point is where it is mounted, Source what is mounted: a device, or the filesystem's name for itself.
	Point, Source string
}

// Parse reads the text of a mountinfo file.
func Parse(text string) []Mount {
	// Spaces and similar characters are written as octal escapes.
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var all []Mount
	for line := range strings.Lines(text) {
		// "36 35 98:0 /root /point options optional… - type source superoptions"
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if found && len(left) > 4 && len(right) > 1 {
			all = append(all, Mount{Point: plain.Replace(left[4]), Source: plain.Replace(right[1])})
		}
	}
	return all
}

// Table reads this mount namespace's mounts.
func Table() ([]Mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return Parse(string(data)), nil
}

// PointOf returns a place where a device is mounted, "" if nowhere.
func PointOf(device string) (string, error) {
	table, err := Table()
	if err != nil {
		return "", err
	}
	for _, m := range table {
		if m.Source == device {
			return m.Point, nil
		}
	}
	return "", nil
}

// Is says whether a path is a mount point.
func Is(path string) (bool, error) {
	table, err := Table()
	if err != nil {
		return false, err
	}
	for _, m := range table {
		if m.Point == path {
			return true, nil
		}
	}
	return false, nil
}

// Below returns the mount points below a folder.
func Below(dir string) ([]string, error) {
	table, err := Table()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range table {
		if strings.HasPrefix(m.Point, dir+"/") {
			points = append(points, m.Point)
		}
	}
	return points, nil
}

// Unmount removes every mount from a path; a path without mounts is no error.
func Unmount(path string) error {
	for {
		on, err := Is(path)
		if err != nil || !on {
			return err
		}
		if err := unix.Unmount(path, 0); err != nil {
			return &os.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
}

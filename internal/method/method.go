// Package method is the one list of methods of capturing volumes that a user can ask for. The command's flag and help, the
// policies, and the engine read it. It also keeps this list and the names of captures in the record the same.
//
// To add a method, add it to All and implement it in backup/capture; a test checks that backup/capture implements all methods.
package method

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Method says how to capture volumes: Auto, or the capture that the record will name for all of them.
type Method string

// The methods.
const (
	Auto     Method = "auto"
	Snapshot        = Method(catalog.CaptureSnapshot)
	Live            = Method(catalog.CaptureLive)
)

// Described is a method with a description for people.
type Described struct {
	Method Method
	Does   string
}

// All are the methods in the order in which to show them: Auto, then the others. Auto takes the first of these that a volume allows.
func All() []Described {
	return []Described{
		{Auto, "snapshot where the volume's CSI driver has a VolumeSnapshotClass, else live"},
		{Snapshot, "by a VolumeSnapshot of each volume; refused if a volume can have none"},
		{Live, "by reading the claim itself, read-only, while its pod runs"},
	}
}

// Names are the names of All.
func Names() []string {
	var names []string
	for _, method := range All() {
		names = append(names, string(method.Method))
	}
	return names
}

// Parse returns the method with that name.
func Parse(name string) (Method, error) {
	names := Names()
	if !slices.Contains(names, name) {
		last := len(names) - 1
		return "", fmt.Errorf("%q is none of %s and %s", name, strings.Join(names[:last], ", "), names[last])
	}
	return Method(name), nil
}

// Help describes each method, one line for each.
func Help() string {
	var lines []string
	for _, method := range All() {
		lines = append(lines, fmt.Sprintf("  %-9s %s", method.Method, method.Does))
	}
	return strings.Join(lines, "\n")
}

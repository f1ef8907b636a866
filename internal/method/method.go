// Package method is the one list of ways to capture volumes that can be asked for. The command's flag and its help, policies, and the
// engine read it; that this list and what the record calls a capture stay the same is held here.
//
// To add a way is to add it to All, and to implement it in backup/capture, of which a test demands that it has all of these.
package method

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Method says how volumes are to be captured: Auto, or what the record will say of all of them.
type Method string

// The methods.
const (
	Auto     Method = "auto"
	Snapshot        = Method(catalog.CaptureSnapshot)
	Live            = Method(catalog.CaptureLive)
)

// Described is a method with what it does, in words for a person.
type Described struct {
	Method Method
	Does   string
}

// All are the methods in the order in which they are shown: Auto, then the ways, of which Auto takes the first that a volume allows.
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

// Parse gives the method of a name.
func Parse(name string) (Method, error) {
	names := Names()
	if !slices.Contains(names, name) {
		last := len(names) - 1
		return "", fmt.Errorf("%q is none of %s and %s", name, strings.Join(names[:last], ", "), names[last])
	}
	return Method(name), nil
}

// Help says what each method does, a line for each.
func Help() string {
	var lines []string
	for _, method := range All() {
		lines = append(lines, fmt.Sprintf("  %-9s %s", method.Method, method.Does))
	}
	return strings.Join(lines, "\n")
}

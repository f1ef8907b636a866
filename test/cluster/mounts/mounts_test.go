package mounts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	text := `23 28 0:21 / /proc rw,nosuid shared:5 - proc proc rw
99 28 7:4 / /state/run/volumes rw,relatime shared:50 master:1 - xfs /dev/loop4 rw,attr2
100 28 7:5 / /a\040folder rw - ext4 /dev/loop5 rw
a line that is none
`
	want := []Mount{
		{Point: "/proc", Source: "proc"},
		{Point: "/state/run/volumes", Source: "/dev/loop4"},
		{Point: "/a folder", Source: "/dev/loop5"},
	}
	if diff := cmp.Diff(want, Parse(text)); diff != "" {
		t.Error(diff)
	}
}

func TestThisNamespace(t *testing.T) {
	if on, err := Is("/proc"); err != nil || !on {
		t.Errorf("/proc is a mount point: %v, %v", on, err)
	}
	if on, err := Is(t.TempDir()); err != nil || on {
		t.Errorf("a new folder is a mount point: %v, %v", on, err)
	}
	if err := Unmount(t.TempDir()); err != nil {
		t.Errorf("nothing to unmount: %v", err)
	}
}

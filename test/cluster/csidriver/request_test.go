package csidriver

import (
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
)

func capability(block bool, fs string, mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	c := &csi.VolumeCapability{AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode}}
	if block {
		c.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
	} else {
		c.AccessType = &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: fs}}
	}
	return c
}

func TestRequested(t *testing.T) {
	const one, many = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	for name, c := range map[string]struct {
		kind       string
		capability *csi.VolumeCapability
		want       store.Format
		refused    bool
	}{
		"file system":            {"", capability(false, "ext4", one), store.Format{Kind: store.Image, FSType: "ext4"}, false},
		"block":                  {"", capability(true, "", one), store.Format{Kind: store.Image, Block: true}, false},
		"folder for many nodes":  {"dir", capability(false, "", many), store.Format{Kind: store.Dir}, false},
		"image for many nodes":   {"", capability(false, "", many), store.Format{}, true},
		"folder as block volume": {"dir", capability(true, "", one), store.Format{}, true},
		"another file system":    {"", capability(false, "xfs", one), store.Format{}, true},
		"unknown kind":           {"tape", capability(false, "", one), store.Format{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := requested(&csi.CreateVolumeRequest{
				Name: "pvc-1", VolumeCapabilities: []*csi.VolumeCapability{c.capability}, Parameters: map[string]string{"kind": c.kind},
			})
			switch {
			case c.refused && status.Code(err) != codes.InvalidArgument:
				t.Errorf("not refused: %v", err)
			case !c.refused && (err != nil || v.Format != c.want):
				t.Errorf("%+v, %v", v.Format, err)
			}
		})
	}
	if _, err := requested(&csi.CreateVolumeRequest{Name: "pvc-1"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without capabilities: %v", err)
	}
}

func TestFitted(t *testing.T) {
	for _, c := range []struct {
		asked, source, limit, want int64
		code                       codes.Code
	}{
		{0, 0, 0, defaultSize, codes.OK},
		{0, 2 * defaultSize, 0, 2 * defaultSize, codes.OK},
		{5000, 0, 0, 8192, codes.OK},
		{4096, 8192, 0, 0, codes.OutOfRange},
		{5000, 0, 6000, 0, codes.OutOfRange},
		{8192, 4096, 8192, 8192, codes.OK},
	} {
		got, err := fitted(c.asked, c.source, c.limit)
		if got != c.want || status.Code(err) != c.code {
			t.Errorf("fitted(%d, %d, %d) = %d, %v", c.asked, c.source, c.limit, got, err)
		}
	}
}

func TestPage(t *testing.T) {
	var seen []int
	for token := ""; ; {
		from, to, next, err := page(5, token, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i := from; i < to; i++ {
			seen = append(seen, i)
		}
		if token = next; token == "" {
			break
		}
	}
	if len(seen) != 5 || seen[4] != 4 {
		t.Errorf("pages have %v", seen)
	}
	for _, token := range []string{"6", "-1", "x"} {
		if _, _, _, err := page(5, token, 0); status.Code(err) != codes.Aborted {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestTrouble(t *testing.T) {
	if err := trouble(t.Context(), map[string]string{"kind": "dir"}); err != nil {
		t.Error(err)
	}
	if err := trouble(t.Context(), map[string]string{"test/fail": "no space"}); status.Convert(err).Message() != "no space" {
		t.Error(err)
	}
	if err := trouble(t.Context(), map[string]string{"test/delay": "soon"}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	began := time.Now()
	if err := trouble(t.Context(), map[string]string{"test/delay": "30ms"}); err != nil || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if later, err := readyAfter(map[string]string{"test/ready-after": "5s"}); later != 5*time.Second || err != nil {
		t.Error(later, err)
	}
}

package blobindex

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBlobTableOnAFullDisk has 64 KiB for the runs: one run or two fit, and then a part of the next one, or of the
// merge of two. Runs that do not fit cost memory, but no blob, and no room once the table is closed.
func TestBlobTableOnAFullDisk(t *testing.T) {
	for name, tt := range map[string]struct{ limit, runs int }{
		"a run that ends too soon":            {limit: 900, runs: 1},
		"a merged run that ends too soon":     {limit: 500, runs: 2},
		"a run that is too large for a start": {limit: 8000, runs: 0}, // and larger than the buffer, so that adding fails
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("stsbackup-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700,size=64k"); err != nil {
				t.Fatalf("this test needs root's rights to mount a file system in memory: %v", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					t.Errorf("unmount %s: %v", dir, err)
				}
			})
			table := smallTable(t, tt.limit)
			table.dir = dir
			count := 3*tt.limit + 1
			for i := range count {
				table.add(testBlobID(i), testPlace(i))
			}
			if len(table.runs) != tt.runs || table.limit == tt.limit {
				t.Errorf("%d runs, want %d; up to %d blobs in memory", len(table.runs), tt.runs, table.limit)
			}
			expectBlobs(t, table, count)
			table.close()
			if err := os.WriteFile(filepath.Join(dir, "all"), bytes.Repeat([]byte{1}, 60<<10), 0o600); err != nil {
				t.Errorf("the room is still taken: %v", err)
			}
		})
	}
}

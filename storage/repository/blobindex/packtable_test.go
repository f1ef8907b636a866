package blobindex

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// TestPackTable has more packs than are kept in memory, with a file and without one.
func TestPackTable(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/not/there"} {
		t.Setenv("TMPDIR", dir)
		table := newPackTable()
		table.limit = 1000
		const count = 30_000
		extent := func(n int) packExtent {
			id := format.ID{}
			binary.LittleEndian.PutUint32(id[:], uint32(n))
			return packExtent{id: id, end: uint32(3 * n)}
		}
		for n := range count {
			if number := table.add(extent(n)); number != n {
				t.Fatalf("pack %d got the number %d", n, number)
			}
		}
		for n := range count {
			if got, err := table.get(n); err != nil || got != extent(n) {
				t.Fatalf("pack %d: %v, %v", n, got, err)
			}
		}
		if table.count() != count || table.full != (dir == "/not/there") || len(table.first) != 1000 {
			t.Errorf("%d packs, of them %d in memory; full: %v", table.count(), len(table.first), table.full)
		}
		if files, err := os.ReadDir(t.TempDir()); err != nil || len(files) > 0 {
			t.Errorf("files are left: %v, %v", files, err)
		}
		table.close()
	}
}

package blobindex

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

func testBlobID(i int) format.ID {
	return format.Hash(binary.LittleEndian.AppendUint64(nil, uint64(i)))
}

func testPlace(i int) place {
	return place{pack: uint32(i), offset: uint32(2 * i), length: uint32(i + 1), plain: uint32(3 * i)}
}

// smallTable keeps few blobs in memory, and its runs in a directory of its own.
func smallTable(t *testing.T, limit int) *blobTable {
	t.Helper()
	table := newBlobTable()
	table.limit, table.dir = limit, t.TempDir()
	t.Cleanup(table.close)
	return table
}

// expectBlobs demands that the table knows the blobs from 0 to count-1 and no others.
func expectBlobs(t *testing.T, table *blobTable, count int) {
	t.Helper()
	for i := range 2 * count {
		got, ok, err := table.find(testBlobID(i))
		if err != nil || ok != (i < count) || ok && got != testPlace(i) {
			t.Fatalf("blob %d: %v, %t, %v", i, got, ok, err)
		}
	}
}

// TestBlobTable fills tables that end in the middle of a map, of a run, and of a block of a run.
func TestBlobTable(t *testing.T) {
	for _, limit := range []int{1, 7, blockEntries, 1000, recentLimit} {
		for _, count := range []int{0, 1, 7, 8, blockEntries, blockEntries + 1, 20*blockEntries - 1, 7001} {
			if count > 1000*limit {
				continue
			}
			table := smallTable(t, limit)
			for i := range count {
				table.add(testBlobID(i), testPlace(i))
				table.add(testBlobID(i), testPlace(i))
			}
			expectBlobs(t, table, count)
			if kept := len(table.recent); kept > limit {
				t.Errorf("%d blobs of %d are kept in memory, not %d", kept, count, limit)
			}
		}
	}
}

// TestBlobTableHasFewRuns also shows that its files cannot be seen by others.
func TestBlobTableHasFewRuns(t *testing.T) {
	table := smallTable(t, 10)
	const count = 20_000
	for i := range count {
		table.add(testBlobID(i), testPlace(i))
		written := 0
		for n, r := range table.runs {
			written += r.count
			if n > 0 && table.runs[n-1].count < runFactor*r.count {
				t.Fatalf("a run of %d entries comes after one of %d", r.count, table.runs[n-1].count)
			}
		}
		if written+len(table.recent) != i+1 {
			t.Fatalf("%d entries in runs and %d in memory, of %d", written, len(table.recent), i+1)
		}
	}
	if left, err := os.ReadDir(table.dir); err != nil || len(left) > 0 {
		t.Errorf("the files can be seen: %v, %v", left, err)
	}
}

// TestBlobTableOfCopies adds a blob again after its first place was written: find returns one of its places, and in the
// end the blob is written once.
func TestBlobTableOfCopies(t *testing.T) {
	table := smallTable(t, 4)
	for round := range 9 {
		for i := range 4 {
			table.add(testBlobID(i), place{length: uint32(100*i + round + 1)})
		}
	}
	table.spill()
	for i := range 4 {
		if got, ok, err := table.find(testBlobID(i)); err != nil || !ok || int(got.length)/100 != i {
			t.Errorf("blob %d: %v, %t, %v", i, got, ok, err)
		}
	}
	if len(table.runs) != 1 || table.runs[0].count != 4 {
		t.Errorf("%d runs", len(table.runs))
	}
}

// Ids that begin in the same way are still told apart.
func TestBlobTableOfAlikeIDs(t *testing.T) {
	table := smallTable(t, 30)
	alike := func(i int) format.ID { return format.ID{0: 0xff, 30: byte(i >> 8), 31: byte(i)} }
	for i := range 500 {
		table.add(alike(i), testPlace(i))
	}
	for i := range 600 {
		if got, ok, err := table.find(alike(i)); err != nil || ok != (i < 500) || ok && got != testPlace(i) {
			t.Fatalf("blob %d: %v, %t, %v", i, got, ok, err)
		}
	}
}

// A disk without room costs memory, and nothing else.
func TestBlobTableWithoutRoom(t *testing.T) {
	table := smallTable(t, 10)
	dir := table.dir
	for i := range 1000 {
		switch i {
		case 300:
			table.dir = filepath.Join(dir, "missing")
		case 700:
			if len(table.recent) < 400 {
				t.Errorf("%d blobs are in memory", len(table.recent))
			}
			table.dir = dir
		}
		table.add(testBlobID(i), testPlace(i))
	}
	expectBlobs(t, table, 1000)
}

// A written entry that cannot be read is an error: whoever needs the blob must not take it for missing.
func TestBlobTableThatCannotBeRead(t *testing.T) {
	table := smallTable(t, 100)
	for i := range 150 {
		table.add(testBlobID(i), testPlace(i))
	}
	if err := table.runs[0].file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := table.find(testBlobID(0)); ok || !errors.Is(err, ErrFile) {
		t.Errorf("%t, %v", ok, err)
	}
	for i := range 150 { // a merge must not lose entries that it cannot read
		table.add(testBlobID(1000+i), testPlace(1000+i))
	}
	if _, ok, err := table.find(testBlobID(0)); ok || !errors.Is(err, ErrFile) {
		t.Errorf("after the next run: %t, %v", ok, err)
	}
	if got, ok, err := table.find(testBlobID(1099)); !ok || err != nil || got != testPlace(1099) {
		t.Errorf("what can be read: %v, %t, %v", got, ok, err)
	}
}

func TestBlobTableOfSeveral(t *testing.T) {
	table := smallTable(t, 1000)
	for i := range 5000 {
		table.add(testBlobID(i), testPlace(i))
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 5000 {
				if got, ok, err := table.find(testBlobID(i)); err != nil || !ok || got != testPlace(i) {
					t.Errorf("blob %d: %v, %t, %v", i, got, ok, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

package blobindex

import (
	"os"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

const (
	// recentLimit is how many blobs are kept in memory; further ones go to a file. It is enough for 16 GiB of large
	// files, and takes less than 4 MiB.
	recentLimit = 32 << 10
	// runFactor is how many times larger a run must be than everything written after it. So a large index has few runs,
	// and an entry is rewritten only a few times.
	runFactor = 4
)

// blobTable knows the places of blobs. There is an entry for every piece of every file in the repository, so only the
// latest are kept in memory: a map fills, is written to a temporary file as a run, and is filled again. Runs that are
// not much larger than those after them are merged. The memory that a table needs hardly grows with the repository.
//
// Several goroutines may look blobs up at the same time, but nothing else may happen while one adds.
type blobTable struct {
	recent map[format.ID]place
	limit  int    // of recent; more than recentLimit only when there is no room for runs
	runs   []*run // the oldest, which is the largest, first
	dir    string // where the runs are
}

func newBlobTable() *blobTable {
	return &blobTable{recent: map[format.ID]place{}, limit: recentLimit, dir: os.TempDir()}
}

// find looks a blob up. An error says that the table's file cannot be read.
func (t *blobTable) find(id format.ID) (place, bool, error) {
	if at, ok := t.recent[id]; ok {
		return at, true, nil
	}
	for _, r := range slices.Backward(t.runs) {
		if at, ok, err := r.find(id); ok || err != nil {
			return at, ok, err
		}
	}
	return place{}, false, nil
}

// add notes the place of a blob. If the blob had one already, find may return either from then on: any copy is as good.
func (t *blobTable) add(id format.ID, at place) {
	if _, known := t.recent[id]; known {
		return
	}
	if len(t.recent) >= t.limit {
		t.spill()
	}
	t.recent[id] = at
}

// spill makes room in memory. If no file can be written, that costs only memory.
func (t *blobTable) spill() {
	r, err := writeRun(t.dir, t.recent)
	if err != nil {
		t.limit *= 2
		return
	}
	clear(t.recent)
	t.runs = append(t.runs, r)
	for n := len(t.runs); n >= 2 && t.runs[n-2].count < runFactor*t.runs[n-1].count; n = len(t.runs) {
		merged, err := mergeRuns(t.dir, t.runs[n-2], t.runs[n-1])
		if err != nil {
			return // the runs stay as they are; the next spill tries again
		}
		for _, r := range t.runs[n-2:] {
			r.close()
		}
		t.runs = append(t.runs[:n-2], merged)
	}
}

// close frees the files. The table must not be used after that.
func (t *blobTable) close() {
	for _, r := range t.runs {
		r.close()
	}
	t.recent, t.runs = nil, nil
}

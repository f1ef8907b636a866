package repository

import (
	"slices"
	"strings"
)

// CheckOptions say how much a check looks at. The zero value means all repository snapshots and no file content.
type CheckOptions struct {
	// ReadData is the share of the packs to read whole, from 0 to 1. A share below 1 is drawn at random, so that checks
	// of a tenth each eventually see everything. Above 0, at least one pack is read.
	ReadData float64
	// Snapshots, unless nil, restricts the check to these repository snapshots and the packs that they need.
	Snapshots []ID
	// Progress, unless nil, is called after each pack that was read, by one goroutine at a time.
	Progress func(packs, total int)
}

// CheckReport says what a check looked at, and what it found.
type CheckReport struct {
	// Snapshots, Trees and Blobs are how many repository snapshots, directories and pieces of files were looked up.
	Snapshots int `json:"snapshots"`
	Trees     int `json:"trees"`
	Blobs     int `json:"blobs"`
	// Packs is how many packs the check covers; PacksRead and BytesRead say how much of them was read whole.
	Packs     int   `json:"packs"`
	PacksRead int   `json:"packsRead"`
	BytesRead int64 `json:"bytesRead"`
	// Spare is how many packs the index names that are not there, although other packs hold all of their blobs: nothing
	// is lost with them, and prune takes them out of the index.
	Spare int `json:"spare,omitempty"`
	// Unindexed is how many packs no index object names: leftovers of interrupted work, for prune to remove. While a
	// backup is running, some of them belong to it.
	Unindexed int `json:"unindexed"`
	// Problems is the damage that was found, in the order of the objects' names. The list ends at maxProblems, because
	// somebody who can write to the bucket could otherwise make it fill the memory; MoreProblems is how many are left
	// out.
	Problems     []Problem `json:"problems"`
	MoreProblems int       `json:"moreProblems,omitempty"`
	// Damaged are the repository snapshots that cannot be restored whole.
	Damaged []ID `json:"damaged"`
}

// Problem is one damaged or missing object.
type Problem struct {
	// Object is the object's name in the bucket; for a blob that is in no pack, its type and id.
	Object string `json:"object"`
	// Reason says what is wrong with it.
	Reason string `json:"reason"`
}

// OnlyLocks says that locks are the only damaged objects, and nothing is missing; that damage goes away by itself.
func (r CheckReport) OnlyLocks() bool {
	return len(r.Problems) > 0 && r.MoreProblems == 0 && len(r.Damaged) == 0 && !slices.ContainsFunc(r.Problems, func(p Problem) bool {
		return !strings.HasPrefix(p.Object, kindLock.prefix())
	})
}

// maxProblems is how many problems a report names: more than anybody reads, and a few MiB.
const maxProblems = 10_000

// reasonFor is the text of an error without the object's name, which stands beside it.
func reasonFor(object string, err error) string {
	reason := err.Error()
	id := object[strings.LastIndexAny(object, "/ ")+1:]
	for _, name := range []string{object, "blob " + id, "tree " + id, id} {
		before, after, found := strings.Cut(reason, name)
		if !found {
			continue
		}
		if before == "" {
			return strings.TrimLeft(after, ": ")
		}
		return strings.TrimRight(before, " ") + after
	}
	return reason
}

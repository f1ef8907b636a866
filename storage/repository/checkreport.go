package repository

import (
	"slices"
	"strings"
)

// CheckOptions say how much a check looks at. The zero value is all repository snapshots and no file content.
type CheckOptions struct {
	// ReadData is the share of the packs to read whole, from 0 to 1. A share below 1 is drawn by chance, so that
	// checks of a tenth each come to see everything in time. Above 0 it is at least one pack.
	ReadData float64
	// Snapshots, unless nil, restricts the check to these repository snapshots and the packs they need.
	Snapshots []ID
	// Progress, unless nil, is called after each pack that was read, by one goroutine at a time.
	Progress func(packs, total int)
}

// CheckReport is what a check has looked at, and what it has found.
type CheckReport struct {
	// Snapshots, Trees and Blobs are the repository snapshots, the directories and the pieces of files that were
	// looked up.
	Snapshots int `json:"snapshots"`
	Trees     int `json:"trees"`
	Blobs     int `json:"blobs"`
	// Packs is how many packs the check covers; PacksRead and BytesRead is what was read whole of them.
	Packs     int   `json:"packs"`
	PacksRead int   `json:"packsRead"`
	BytesRead int64 `json:"bytesRead"`
	// Spare is how many packs are named by the index and are not there, although all that they held is in others too: nothing is
	// lost with them, and prune takes them out of the index.
	Spare int `json:"spare,omitempty"`
	// Unindexed is how many packs no index object names: what interrupted work left, for prune to remove. While a
	// backup is running, some of them are its.
	Unindexed int `json:"unindexed"`
	// Problems is the damage that was found, in the order of the objects' names; MoreProblems is how many are left out, since the
	// list ends at maxProblems: who can write to the bucket could otherwise make it as long as memory.
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

// OnlyLocks says that what is damaged of what is there is locks and nothing else; that goes away by itself.
func (r CheckReport) OnlyLocks() bool {
	return len(r.Problems) > 0 && r.MoreProblems == 0 && len(r.Damaged) == 0 && !slices.ContainsFunc(r.Problems, func(p Problem) bool {
		return !strings.HasPrefix(p.Object, kindLock.prefix())
	})
}

// maxProblems is how many problems a report names: more than anybody reads, and a few MiB.
const maxProblems = 10_000

// reasonFor is what an error says of an object, without the object's name, beside which it stands.
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

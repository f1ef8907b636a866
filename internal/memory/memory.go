package memory

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Bound is how much memory a command may take.
type Bound struct {
	// limit is what Go's runtime may take as long as that is enough, in bytes. The used part of the program itself
	// comes on top: some 25 MiB.
	limit int64
	// percent is by how much the heap may outgrow its live part if the limit leaves no room.
	percent int
}

// OfBackup is the Bound for backups. If a backup finds nothing changed, its live heap takes half of the limit.
// If it finds many new files, its live heap, with the pieces and packs on their way, takes all of it.
func OfBackup() Bound { return Bound{limit: 48 << 20, percent: 5} }

// OfRestore leaves more room than OfBackup does: a restore has a smaller live heap.
func OfRestore() Bound { return Bound{limit: 60 << 20, percent: 10} }

const (
	// defaultPercent is Go's default: while the live heap is very small, there is no need to use up the limit.
	defaultPercent = 100
	// besideHeap is what the runtime takes beside the objects of the heap, in bytes, and what it keeps free below
	// the limit. It is 8 to 10 MiB, and the limit includes it.
	besideHeap = 10 << 20
	// checkEvery is how often Keep compares the bound with the live heap.
	checkEvery = 250 * time.Millisecond
)

// collection says when to collect garbage, in the terms of package runtime/debug.
type collection struct {
	percent int
	limit   int64
}

// collectionFor says when to collect garbage while this many bytes are live: before the limit is reached, or
// when the heap has grown by the percentage, whichever is later.
func (b Bound) collectionFor(live uint64) collection {
	live = min(live, math.MaxInt64/4)
	if int64(live+live/100*uint64(b.percent))+besideHeap <= b.limit {
		return collection{percent: defaultPercent, limit: b.limit}
	}
	return collection{percent: b.percent, limit: math.MaxInt64}
}

// use makes the runtime follow the collection.
func (c collection) use() {
	debug.SetGCPercent(c.percent)
	debug.SetMemoryLimit(c.limit)
}

// Keep keeps the process within the bound until ctx ends, unless the user has set limits.
func (b Bound) Keep(ctx context.Context, getenv func(string) string) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return
	}
	inUse := b.collectionFor(0)
	inUse.use()
	go func() {
		ticker := time.NewTicker(checkEvery)
		defer ticker.Stop()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				metrics.Read(sample)
				if next := b.collectionFor(sample[0].Value.Uint64()); next != inUse {
					next.use() // it stops everything for a moment, so call it only when something changes
					inUse = next
				}
			}
		}
	}()
}

// percentOfUpkeep is by how many per cent the heap of commands that go through whole repositories may exceed its live part.
const percentOfUpkeep = 25

// Save makes the process take little more memory than its live heap, unless the user has set limits. The live heap of a
// prune or a verify holds all of the index, which can be any size. The lower the percentage, the more time that takes.
func Save(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(percentOfUpkeep)
	}
}

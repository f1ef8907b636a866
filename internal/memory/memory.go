package memory

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Bound is how much memory a command is to take.
type Bound struct {
	// limit is what Go's runtime may take while that is enough, in bytes. The program itself, as far as it is used,
	// comes on top: some 25 MiB.
	limit int64
	// percent is by how much the heap may outgrow what is live where the limit leaves no room.
	percent int
}

// OfBackup is for backups. Of one that finds nothing changed half of the limit is live; of one that finds many new
// files, with the pieces and packs on their way, all of it.
func OfBackup() Bound { return Bound{limit: 48 << 20, percent: 5} }

// OfRestore leaves more room than that of backups: less of a restore is live.
func OfRestore() Bound { return Bound{limit: 60 << 20, percent: 10} }

const (
	// defaultPercent is Go's: while very little is live there is no need to use up the limit.
	defaultPercent = 100
	// besideHeap is what the runtime takes beside the objects of the heap, in bytes, and what it keeps free of the
	// limit. It is 8 to 10 MiB, and the limit is for that too.
	besideHeap = 10 << 20
	// checkEvery is how often the bound is compared with what is live.
	checkEvery = 250 * time.Millisecond
)

// collection says when garbage is collected, in the terms of package runtime/debug.
type collection struct {
	percent int
	limit   int64
}

// collectionFor says when garbage is to be collected while so many bytes are live: before the limit is reached, or when the
// heap has grown by the percentage, whichever is later.
func (b Bound) collectionFor(live uint64) collection {
	live = min(live, math.MaxInt64/4)
	if int64(live+live/100*uint64(b.percent))+besideHeap <= b.limit {
		return collection{percent: defaultPercent, limit: b.limit}
	}
	return collection{percent: b.percent, limit: math.MaxInt64}
}

// use makes the runtime follow it.
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
					next.use() // it stops everything for a moment, so only where something changes
					inUse = next
				}
			}
		}
	}()
}

// percentOfUpkeep is by how many per cent the memory of commands that go through whole repositories may exceed what is live.
const percentOfUpkeep = 25

// Save makes the process take little more than what is live, unless the user has said how much: of a prune or a verify
// that is all that the index says, of any size. The fewer per cent, the more time that takes.
func Save(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(percentOfUpkeep)
	}
}

package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Collecting garbage costs the more the less memory it is given: what is live is gone through each time. With Go's default,
// the heap grows to twice of what is live before that is done, which a mover's memory is too small for. With a small percentage
// instead, a backup of which little is live spends a third of its time on it. So what a mover takes is limited as a whole, and
// garbage is collected as seldom as that allows. Where what is live leaves no room below the limit, it would be collected all
// the time; from there on a percentage does less harm.

// memoryBound is how much memory a command is to take.
type memoryBound struct {
	// limit is what Go's runtime may take while that is enough, in bytes. The program itself, as far as it is used,
	// comes on top: some 25 MiB.
	limit int64
	// percent is by how much the heap may outgrow what is live where the limit leaves no room.
	percent int
}

// boundOfBackup is for backups. Of one that finds nothing changed half of the limit is live; of one that finds many new
// files, with the pieces and packs on their way, all of it.
func boundOfBackup() memoryBound { return memoryBound{limit: 48 << 20, percent: 5} }

// boundOfRestore leaves more room than that of backups: less of a restore is live.
func boundOfRestore() memoryBound { return memoryBound{limit: 60 << 20, percent: 10} }

const (
	// defaultPercent is Go's: while very little is live there is no need to use up the limit.
	defaultPercent = 100
	// memoryBesideHeap is what the runtime takes beside the objects of the heap, in bytes, and what it keeps free of the
	// limit. It is 8 to 10 MiB, and the limit is for that too.
	memoryBesideHeap = 10 << 20
	// memoryCheck is how often the bound is compared with what is live.
	memoryCheck = 250 * time.Millisecond
)

// collection says when garbage is collected, in the terms of package runtime/debug.
type collection struct {
	percent int
	limit   int64
}

// collectionFor says when garbage is to be collected while so many bytes are live: before the limit is reached, or when the
// heap has grown by the percentage, whichever is later.
func (b memoryBound) collectionFor(live uint64) collection {
	live = min(live, math.MaxInt64/4)
	if int64(live+live/100*uint64(b.percent))+memoryBesideHeap <= b.limit {
		return collection{percent: defaultPercent, limit: b.limit}
	}
	return collection{percent: b.percent, limit: math.MaxInt64}
}

// use makes the runtime follow it.
func (c collection) use() {
	debug.SetGCPercent(c.percent)
	debug.SetMemoryLimit(c.limit)
}

// boundMemory keeps the process within the bound until ctx ends, unless the user has set limits.
func boundMemory(ctx context.Context, a *app, bound memoryBound) {
	if a.getenv("GOGC") != "" || a.getenv("GOMEMLIMIT") != "" {
		return
	}
	inUse := bound.collectionFor(0)
	inUse.use()
	go func() {
		ticker := time.NewTicker(memoryCheck)
		defer ticker.Stop()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				metrics.Read(sample)
				if next := bound.collectionFor(sample[0].Value.Uint64()); next != inUse {
					next.use() // it stops everything for a moment, so only where something changes
					inUse = next
				}
			}
		}
	}()
}

// memoryOfUpkeep is by how many per cent the memory of commands that go through whole repositories may exceed what is live.
const memoryOfUpkeep = 25

// saveMemory makes the process take little more than what is live, unless the user has said how much: of a prune or a verify
// that is all that the index says, of any size. The fewer per cent, the more time that takes.
func saveMemory(a *app) {
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(memoryOfUpkeep)
	}
}

package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much memory a restore is to take. Collecting garbage costs the more the less memory it is given: what is live is gone
// through each time.
const (
	// memoryLimit is what Go's runtime may take, in bytes. The program itself, as far as it is used, comes on top.
	memoryLimit = 60 << 20
	// memoryRoom is the least that there must be beyond what is live, in bytes: with less, garbage would be collected
	// all the time.
	memoryRoom = 8 << 20
	// memoryCheck is how often the limit is compared with what is live. It grows by whole objects of the index.
	memoryCheck = 250 * time.Millisecond
)

// limitFor is the limit that fits what is live: an index of very many blobs needs more than memoryLimit.
func limitFor(live uint64) int64 {
	live = min(live, math.MaxInt64/2)
	return max(memoryLimit, int64(live+live/16)+memoryRoom)
}

// limitMemory keeps the process within limitFor until ctx ends, unless the user has set limits.
func limitMemory(ctx context.Context, a *app) {
	if a.getenv("GOGC") != "" || a.getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(limitFor(0))
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
				debug.SetMemoryLimit(limitFor(sample[0].Value.Uint64()))
			}
		}
	}()
}

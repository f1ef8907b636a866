package memory

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestCollectionFor(t *testing.T) {
	const mib = 1 << 20
	bound := Bound{limit: 50 * mib, percent: 25}
	limited, beyond := collection{percent: defaultPercent, limit: 50 * mib}, collection{percent: 25, limit: math.MaxInt64}
	for _, tt := range []struct {
		live uint64
		want collection
	}{
		{0, limited},
		{20 * mib, limited},
		{32 * mib, limited}, // a quarter more is 40 MiB; the rest is for what is beside the heap
		{32*mib + 200, beyond},
		{64 * mib, beyond},
		{math.MaxUint64, beyond},
	} {
		if got := bound.collectionFor(tt.live); got != tt.want {
			t.Errorf("%d bytes are live: %+v, want %+v", tt.live, got, tt.want)
		}
	}
}

// TestMemoryIsBounded: the limit while the live heap is small, the percentage while it is large, and the limit again.
func TestMemoryIsBounded(t *testing.T) {
	percent := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for _, variable := range []string{"GOGC", "GOMEMLIMIT"} {
		Bound{limit: 1}.Keep(t.Context(), func(name string) string { return map[string]string{variable: "off"}[name] })
		if got := debug.SetMemoryLimit(-1); got != limit {
			t.Fatalf("the user has set %s, and the limit is %d", variable, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bound := Bound{limit: 200 << 20, percent: 30}
	limited, beyond := collection{percent: defaultPercent, limit: bound.limit}, collection{percent: 30, limit: math.MaxInt64}
	bound.Keep(ctx, func(string) string { return "" })
	wait := func(what string, want collection) {
		t.Helper()
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		late := time.After(30 * time.Second)
		for {
			sample := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
			metrics.Read(sample)
			got := collection{percent: int(sample[0].Value.Uint64()), limit: int64(sample[1].Value.Uint64())}
			if got == want {
				return
			}
			select {
			case <-again.C:
			case <-late:
				t.Fatalf("%s: %+v, want %+v", what, got, want)
			}
		}
	}
	wait("little is live", limited)
	much := make([]byte, bound.limit)
	debug.FreeOSMemory()
	wait("much is live", beyond)
	runtime.KeepAlive(much)
	debug.FreeOSMemory()
	wait("little is live again", limited)
}

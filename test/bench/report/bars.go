package report

import "math"

// The indexes of the tools in a row's usages.
const (
	ours = iota
	restic
	kopia
)

// The limits.
const (
	// MemoryLimit is how much resident memory a backup or a restore may take, in bytes.
	MemoryLimit = 96 << 20
	// growthLimit is how many times as much memory an operation may take for a volume that is ten times as large.
	growthLimit = 1.25
	// storedLimit is how many times as much as the smaller peer we may store.
	storedLimit = 1.02
)

// Bar is a requirement that the benchmark checks.
type Bar struct {
	Key
	// What says what is compared.
	What string
	// Need is what is required, Got what was measured, both as ratios or in MiB.
	Need, Got float64
	// AtMost: less is better; otherwise more is.
	AtMost bool
}

// Met reports whether the bar is met.
func (b Bar) Met() bool {
	if b.AtMost {
		return b.Got <= b.Need
	}
	return b.Got >= b.Need
}

// Bars compares the rows of ours, restic and kopia with our requirements.
func Bars(rows []Row) []Bar {
	var bars []Bar
	for _, row := range rows {
		better := math.Min(row.Ratio(restic), row.Ratio(kopia))
		atLeast := func(what string, need, got float64) {
			bars = append(bars, Bar{Key: row.Key, What: what, Need: need, Got: got})
		}
		switch {
		case row.Operation == Restore:
			atLeast("times as fast as the faster peer", 1.5, better)
		case row.Data == Incompressible:
			atLeast("times as fast as restic", 3, row.Ratio(restic))
			atLeast("times as fast as kopia", 2, row.Ratio(kopia))
		case row.Data == Pages:
			atLeast("times as fast as restic", 2, row.Ratio(restic))
			atLeast("times as fast as kopia", 1.8, row.Ratio(kopia))
			bars = append(
				bars,
				Bar{Key: row.Key, What: "times the bytes that the thriftier peer stores", Need: storedLimit, Got: row.stored(), AtMost: true},
			)
		case row.Data == Changed || row.Data == Unchanged:
			atLeast("times as fast as restic", 2, row.Ratio(restic))
		case row.Data == SmallFiles:
			atLeast("times as fast as the faster peer", 1.5, better)
		}
		bars = append(bars, Bar{Key: row.Key, What: "MiB of peak memory", Need: MemoryLimit >> 20, Got: mib(row.Usages[ours].RSS), AtMost: true})
	}
	return bars
}

// stored compares how much we have stored with the smaller peer.
func (r Row) stored() float64 {
	return float64(r.Usages[ours].Stored) / float64(max(min(r.Usages[restic].Stored, r.Usages[kopia].Stored), 1))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

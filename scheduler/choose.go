package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// Limits bound how much runs at the same time.
type Limits struct {
	// Overall is how many StatefulSets are backed up at once, and PerNamespace how many of one namespace. Both are at
	// least 1.
	Overall, PerNamespace int
	// Upkeep is how many prunes and verifications run at once, in addition to the backups.
	Upkeep int
}

// candidate is a StatefulSet for which a task could begin now.
type candidate struct {
	name Name
	// last is when its newest complete recovery point was begun, or its last upkeep done: the staler, the sooner its
	// turn.
	last time.Time
	// run is the time at which it was due.
	run time.Time
}

// choose picks the StatefulSets that begin now: the stalest first, and as many as the limits allow in addition to those
// that are running, which it gets by namespace.
func choose(candidates []candidate, running map[string]int, overall, perNamespace int) []candidate {
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(a.last.Compare(b.last), a.run.Compare(b.run), cmp.Compare(a.name.String(), b.name.String()))
	})
	taken := map[string]int{}
	total := 0
	for namespace, count := range running {
		taken[namespace] = count
		total += count
	}
	var chosen []candidate
	for _, c := range candidates {
		if total >= overall {
			break
		}
		if taken[c.name.Namespace] >= perNamespace {
			continue
		}
		taken[c.name.Namespace]++
		total++
		chosen = append(chosen, c)
	}
	return chosen
}

package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// Limits bound what runs at once.
type Limits struct {
	// Overall is how many StatefulSets are backed up at once, and PerNamespace how many of one namespace. Neither is less
	// than 1.
	Overall, PerNamespace int
	// Upkeep is how many are pruned or verified at once, beside the backups.
	Upkeep int
}

// candidate is a StatefulSet for which something could begin now.
type candidate struct {
	name Name
	// last is when what it has was begun: the staler, the sooner its turn.
	last time.Time
	// run is the time that it was due.
	run time.Time
}

// choose picks those that begin now: the stalest first, as many as the limits allow beside what is running by namespace.
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

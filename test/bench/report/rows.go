package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/stsbackup/stsbackup/test/bench/measure"
)

// Operations.
const (
	Backup  = "backup"
	Restore = "restore"
)

// Names of the data, which the bars refer to.
const (
	Incompressible = "incompressible"
	Pages          = "database pages"
	Unchanged      = "unchanged"
	Changed        = "1 % of pages changed"
	SmallFiles     = "small files"
	SmallUnchanged = "small files, unchanged"
	Replicas       = "three replicas"
)

// Key says what was measured.
type Key struct {
	// Place is where the repository was, Data what the tool saved, Operation what it did.
	Place, Data, Operation string
}

// Samples are measurements of several tools in several rounds.
type Samples struct {
	keys   []Key // in the order in which they came
	rounds map[Key]map[string][]measure.Usage
}

// Add stores one measurement.
func (s *Samples) Add(key Key, tool string, usage measure.Usage) {
	if s.rounds == nil {
		s.rounds = map[Key]map[string][]measure.Usage{}
	}
	if s.rounds[key] == nil {
		s.rounds[key] = map[string][]measure.Usage{}
		s.keys = append(s.keys, key)
	}
	s.rounds[key][tool] = append(s.rounds[key][tool], usage)
}

// Row is the measurement of one operation: one usage for each tool, ours first.
type Row struct {
	Key
	// Rounds is how often it was measured.
	Rounds int
	Usages []measure.Usage
	// Fastest and Slowest are each tool's shortest and longest time on the wall.
	Fastest, Slowest []time.Duration
}

// Rows summarizes the rounds. Every operation must have been measured with each of the tools.
func (s *Samples) Rows(tools []string) []Row {
	var rows []Row
	for _, key := range s.keys {
		row := Row{Key: key, Rounds: len(s.rounds[key][tools[0]])}
		for _, tool := range tools {
			rounds := s.rounds[key][tool]
			row.Usages = append(row.Usages, Typical(rounds))
			fastest, slowest := spread(rounds)
			row.Fastest, row.Slowest = append(row.Fastest, fastest), append(row.Slowest, slowest)
		}
		rows = append(rows, row)
	}
	// Group the rows by place, whatever the order of the measurements was.
	places := map[string]int{}
	for _, row := range rows {
		if _, known := places[row.Place]; !known {
			places[row.Place] = len(places)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(places[a.Place], places[b.Place]) })
	return rows
}

// Typical is the median of each quantity, except for the memory, which is a peak: it is the largest.
func Typical(rounds []measure.Usage) measure.Usage {
	var typical measure.Usage
	for _, usage := range rounds {
		typical.RSS = max(typical.RSS, usage.RSS)
	}
	typical.Wall = median(rounds, func(u measure.Usage) time.Duration { return u.Wall })
	typical.CPU = median(rounds, func(u measure.Usage) time.Duration { return u.CPU })
	typical.Stored = median(rounds, func(u measure.Usage) int64 { return u.Stored })
	return typical
}

// median is the middle value, or the mean of the two in the middle; 0 if there are no values.
func median[T ~int64](rounds []measure.Usage, value func(measure.Usage) T) T {
	var values []T
	for _, usage := range rounds {
		values = append(values, value(usage))
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// spread is the shortest and the longest wall time; 0 if there are no rounds.
func spread(rounds []measure.Usage) (fastest, slowest time.Duration) {
	for i, usage := range rounds {
		if i == 0 || usage.Wall < fastest {
			fastest = usage.Wall
		}
		slowest = max(slowest, usage.Wall)
	}
	return fastest, slowest
}

// Ratio says how many times as fast ours is as the peer with this index.
func (r Row) Ratio(peer int) float64 {
	return float64(r.Usages[peer].Wall) / float64(max(r.Usages[0].Wall, 1))
}

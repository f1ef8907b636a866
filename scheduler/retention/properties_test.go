package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
)

// draw makes recovery points of all states, over about a year.
func draw(random *rand.Rand, now time.Time) []Point {
	var points []Point
	for i := range random.IntN(60) {
		begun := now.Add(-time.Duration(random.Int64N(int64(400*24*time.Hour))) + 24*time.Hour).Truncate(time.Minute)
		states := []State{Complete, Complete, Complete, Complete, Incomplete, Unrecorded, Unreadable}
		points = append(points, Point{
			ID: fmt.Sprintf("%s-%04x", begun.UTC().Format("20060102T150405Z"), i), State: states[random.IntN(len(states))],
			Time: begun, Touched: begun.Add(time.Duration(random.Int64N(int64(48 * time.Hour)))),
		})
	}
	return points
}

func drawRules(random *rand.Rand) Rules {
	count := func() int { return max(0, random.IntN(12)-6) }
	rules := Rules{Last: count(), Hourly: count(), Daily: count(), Weekly: count(), Monthly: count(), Yearly: count()}
	if random.IntN(2) == 0 {
		rules.Within = calendar.Span{Months: random.IntN(2), Days: random.IntN(20), Elapsed: time.Duration(random.IntN(48)) * time.Hour}
	}
	return rules
}

func kept(decisions []Decision) map[string]bool {
	ids := map[string]bool{}
	for _, d := range decisions {
		if d.Keep {
			ids[d.ID] = true
		}
	}
	return ids
}

// TestDecideHolds checks what must be true for all recovery points and rules.
func TestDecideHolds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 9))
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	berlin := zone(t, "Europe/Berlin")
	for range 2000 {
		points, rules := draw(random, now), drawRules(random)
		decisions := Decide(points, rules, now, berlin)
		keeps := kept(decisions)
		newest := Point{}
		for _, d := range decisions {
			if len(d.Reasons) == 0 {
				t.Fatalf("no reason for %+v", d)
			}
			if d.State == Complete && !d.Time.After(now) && d.Time.After(newest.Time) {
				newest = d.Point
			}
		}
		if len(decisions) != len(points) || newest.ID != "" && !keeps[newest.ID] {
			t.Fatalf(
				"%+v: %d decisions on %d recovery points; the newest complete, %s, kept: %t",
				rules,
				len(decisions),
				len(points),
				newest.ID,
				keeps[newest.ID],
			)
		}
		// Decide keeps again what it has kept: running it twice removes nothing more.
		rest := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return !keeps[p.ID] })
		if again := kept(Decide(rest, rules, now, berlin)); len(again) != len(keeps) {
			t.Fatalf("%+v: kept %d, and of those only %d again", rules, len(keeps), len(again))
		}
		// If one recovery point is missing, Decide never removes another one because of that.
		if len(points) > 0 {
			hidden := random.IntN(len(points))
			without := kept(Decide(slices.Delete(slices.Clone(points), hidden, hidden+1), rules, now, berlin))
			for id := range keeps {
				if id != points[hidden].ID && !without[id] {
					t.Fatalf("%+v: %s is kept, but not when %s is not known", rules, id, points[hidden].ID)
				}
			}
		}
	}
}

func TestDecideLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	given := points(t, []string{"2026-11-19T02:00:00Z", "2026-11-21T02:00:00Z"})
	before := slices.Clone(given)
	Decide(given, Rules{Last: 1}, at(t, "2026-12-01T00:00:00Z"), time.UTC)
	if !slices.Equal(before, given) {
		t.Errorf("the recovery points were changed to %+v", given)
	}
}

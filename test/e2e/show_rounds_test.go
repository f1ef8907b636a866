//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// gap is a time in which no backup is possible.
type gap struct {
	down, up time.Time
	// noticed is how long a scheduler may take to notice the end of the gap.
	noticed time.Duration
}

// bucketNoticed is that time for a bucket that did not answer (docs/scheduler.md).
const bucketNoticed = 2 * time.Minute

// lostOrDoubled says in which minutes since first no recovery point was begun, or several were, and not exactly one. In
// the gap there must be none. There may be one in a minute that is partly in the gap, or before the scheduler must have
// noticed its end.
func lostOrDoubled(begun []time.Time, first time.Time, away gap) (problems []string) {
	down, up := away.down, away.up
	perMinute := map[time.Time]int{}
	var last time.Time
	for _, at := range begun {
		perMinute[at.Truncate(time.Minute)]++
		if at.After(last) {
			last = at
		}
	}
	for minute := first; !minute.After(last); minute = minute.Add(time.Minute) {
		end := minute.Add(time.Minute)
		least, most := 1, 1
		switch {
		case minute.After(down) && end.Before(up):
			least, most = 0, 0
		case end.After(down) && minute.Before(up.Add(away.noticed)):
			least = 0
		}
		if n := perMinute[minute]; n < least || n > most {
			problems = append(problems, fmt.Sprintf("%d recovery points of %s, with the gap from %s to %s; all are of %s",
				n, minute.Format(time.TimeOnly), down.UTC().Format(time.TimeOnly), up.UTC().Format(time.TimeOnly), begun))
		}
	}
	if last.Before(up) {
		problems = append(problems, fmt.Sprintf("no recovery points since the gap; all are of %s", begun))
	}
	return problems
}

// TestLostOrDoubled shows that lostOrDoubled can fail.
func TestLostOrDoubled(t *testing.T) {
	at := func(clock string) time.Time {
		moment, err := time.Parse(time.DateTime, "2026-11-21 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for name, tt := range map[string]struct {
		begun string
		wrong int
	}{
		"all well":                   {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:06:00 10:07:00"},
		"just before it went away":   {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:04:01 10:06:00 10:07:00", wrong: 1},
		"caught up late":             {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:05:50 10:06:00 10:07:00"},
		"its return is noticed late": {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:07:30 10:08:00 10:09:00"},
		"lost after its return":      {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:06:30 10:07:00 10:09:00", wrong: 1},
		"one is lost":                {begun: "10:00:03 10:01:00 10:03:00 10:06:00 10:07:00", wrong: 1},
		"one is doubled":             {begun: "10:00:03 10:01:00 10:01:40 10:02:31 10:03:00 10:06:00 10:07:00", wrong: 1},
		"two are caught up":          {begun: "10:00:03 10:01:00 10:02:31 10:03:00 10:05:46 10:05:50 10:06:00 10:07:00", wrong: 1},
		"it never comes back":        {begun: "10:00:03 10:01:00 10:02:31 10:03:00", wrong: 1},
		"nothing at all":             {wrong: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var begun []time.Time
			for _, clock := range strings.Fields(tt.begun) {
				begun = append(begun, at(clock))
			}
			if problems := lostOrDoubled(begun, at("10:00:00"), gap{at("10:03:20"), at("10:05:45"), bucketNoticed}); len(problems) != tt.wrong {
				t.Errorf("%d problems, want %d: %q", len(problems), tt.wrong, problems)
			}
		})
	}
}

package retention

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/scheduler/clock"
)

// at parses a time for a test.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	location, err := clock.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return location
}

// points reads "TIME [STATE [TOUCHED]]". The time is also the id.
func points(t *testing.T, lines []string) []Point {
	t.Helper()
	var all []Point
	for _, line := range lines {
		words := strings.Fields(line)
		point := Point{ID: words[0], State: Complete, Time: at(t, words[0])}
		if point.Touched = point.Time; len(words) > 1 {
			point.State = State(words[1])
		}
		if len(words) > 2 {
			point.Touched = at(t, words[2])
		}
		all = append(all, point)
	}
	return all
}

// lines writes decisions: "+ ID: reasons" for those to keep, "- ID: reasons" for the others.
func lines(decisions []Decision) []string {
	var all []string
	for _, d := range decisions {
		sign := "- "
		if d.Keep {
			sign = "+ "
		}
		all = append(all, sign+d.ID+": "+strings.Join(d.Reasons, ", "))
	}
	return all
}

// golden is a known decision.
type golden struct {
	name   string
	rules  Rules
	zone   string
	now    string // the end of 2026 unless set
	points []string
	want   []string
}

func (g golden) check(t *testing.T) {
	t.Helper()
	now := "2026-12-31T23:59:59Z"
	if g.now != "" {
		now = g.now
	}
	given := points(t, g.points)
	got := lines(Decide(given, g.rules, at(t, now), zone(t, g.zone)))
	if diff := cmp.Diff(g.want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", g.name, diff)
	}
	slices.Reverse(given)
	if diff := cmp.Diff(g.want, lines(Decide(given, g.rules, at(t, now), zone(t, g.zone)))); diff != "" {
		t.Errorf("%s, given in another order (-want +got):\n%s", g.name, diff)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for _, test := range []golden{
		{name: "nothing to decide on", rules: Rules{Last: 1}},
		{
			name: "last", rules: Rules{Last: 2},
			points: []string{"2026-11-19T02:00:00Z", "2026-11-21T02:00:00Z", "2026-11-20T02:00:00Z"},
			want: []string{
				"+ 2026-11-21T02:00:00Z: newest complete, last 1 of 2",
				"+ 2026-11-20T02:00:00Z: last 2 of 2",
				"- 2026-11-19T02:00:00Z: no rule keeps it",
			},
		},
		{
			name:   "no rule: the newest complete one stays",
			points: []string{"2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z"},
			want:   []string{"+ 2026-11-20T02:00:00Z: newest complete", "- 2026-11-19T02:00:00Z: no rule keeps it"},
		},
		{
			name: "daily: the newest of each day; days without one use nothing up", rules: Rules{Daily: 2},
			points: []string{"2026-11-10T02:00:00Z", "2026-11-18T01:00:00Z", "2026-11-18T23:59:59Z", "2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z"},
			want: []string{
				"+ 2026-11-20T12:00:00Z: newest complete, daily 2026-11-20",
				"- 2026-11-20T00:00:00Z: no rule keeps it",
				"+ 2026-11-18T23:59:59Z: daily 2026-11-18",
				"- 2026-11-18T01:00:00Z: no rule keeps it",
				"- 2026-11-10T02:00:00Z: no rule keeps it",
			},
		},
		{
			name: "hourly", rules: Rules{Hourly: 2},
			points: []string{"2026-11-20T10:05:00Z", "2026-11-20T10:55:00Z", "2026-11-20T11:00:00Z", "2026-11-20T08:00:00Z"},
			want: []string{
				"+ 2026-11-20T11:00:00Z: newest complete, hourly 2026-11-20T11Z",
				"+ 2026-11-20T10:55:00Z: hourly 2026-11-20T10Z",
				"- 2026-11-20T10:05:00Z: no rule keeps it",
				"- 2026-11-20T08:00:00Z: no rule keeps it",
			},
		},
		{
			name: "weekly: ISO weeks, from Monday, over the turn of the year", rules: Rules{Weekly: 3},
			now:    "2027-01-31T00:00:00Z",
			points: []string{"2026-12-20T02:00:00Z", "2026-12-27T02:00:00Z", "2026-12-28T02:00:00Z", "2027-01-03T02:00:00Z", "2027-01-04T02:00:00Z"},
			want: []string{
				"+ 2027-01-04T02:00:00Z: newest complete, weekly 2027-W01",
				"+ 2027-01-03T02:00:00Z: weekly 2026-W53",
				"- 2026-12-28T02:00:00Z: no rule keeps it",
				"+ 2026-12-27T02:00:00Z: weekly 2026-W52",
				"- 2026-12-20T02:00:00Z: no rule keeps it",
			},
		},
		{
			name: "monthly and yearly keep the last of each", rules: Rules{Monthly: 2, Yearly: 3},
			points: []string{
				"2024-12-31T02:00:00Z", "2025-06-01T02:00:00Z", "2025-12-30T02:00:00Z", "2026-10-31T02:00:00Z", "2026-11-01T02:00:00Z",
				"2026-11-30T02:00:00Z",
			},
			want: []string{
				"+ 2026-11-30T02:00:00Z: newest complete, monthly 2026-11, yearly 2026",
				"- 2026-11-01T02:00:00Z: no rule keeps it",
				"+ 2026-10-31T02:00:00Z: monthly 2026-10",
				"+ 2025-12-30T02:00:00Z: yearly 2025",
				"- 2025-06-01T02:00:00Z: no rule keeps it",
				"+ 2024-12-31T02:00:00Z: yearly 2024",
			},
		},
		{
			name: "within: younger than the newest by less, however long ago that was", rules: Rules{Within: calendar.Span{Days: 7}},
			now:    "2028-01-01T00:00:00Z",
			points: []string{"2026-11-13T02:00:00Z", "2026-11-14T02:00:00Z", "2026-11-14T02:00:01Z", "2026-11-21T02:00:00Z"},
			want: []string{
				"+ 2026-11-21T02:00:00Z: newest complete, within 7d",
				"+ 2026-11-14T02:00:01Z: within 7d",
				"- 2026-11-14T02:00:00Z: no rule keeps it",
				"- 2026-11-13T02:00:00Z: no rule keeps it",
			},
		},
		{
			name: "rules add up", rules: Rules{Last: 1, Daily: 2, Within: calendar.Span{Elapsed: 2 * time.Hour}},
			points: []string{"2026-11-20T10:00:00Z", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"},
			want: []string{
				"+ 2026-11-21T10:00:00Z: newest complete, last 1 of 1, daily 2026-11-21, within 2h",
				"+ 2026-11-21T09:00:00Z: within 2h",
				"- 2026-11-21T08:00:00Z: no rule keeps it",
				"+ 2026-11-20T10:00:00Z: daily 2026-11-20",
			},
		},
	} {
		test.check(t)
	}
}

func TestDecideOnWhatDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, test := range []golden{
		{
			name: "incomplete ones take no place, and go after the grace", rules: Rules{Last: 2}, now: "2026-11-21T12:00:00Z",
			points: []string{
				"2026-11-18T02:00:00Z", "2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z incomplete 2026-11-20T12:00:00Z",
				"2026-11-20T10:00:00Z incomplete 2026-11-20T12:00:01Z", "2026-11-21T02:00:00Z unrecorded",
			},
			want: []string{
				"+ 2026-11-21T02:00:00Z: unrecorded, stays until 2026-11-22T02:00:00Z and does not count",
				"+ 2026-11-20T10:00:00Z: incomplete, stays until 2026-11-21T12:00:01Z and does not count",
				"- 2026-11-20T02:00:00Z: incomplete for more than 24 hours",
				"+ 2026-11-19T02:00:00Z: newest complete, last 1 of 2",
				"+ 2026-11-18T02:00:00Z: last 2 of 2",
			},
		},
		{
			name: "a backup that takes days is not taken for an interrupted one", rules: Rules{Last: 1}, now: "2026-11-21T12:00:00Z",
			points: []string{"2026-11-18T02:00:00Z unrecorded 2026-11-21T02:00:00Z", "2026-11-17T02:00:00Z unrecorded"},
			want: []string{
				"+ 2026-11-18T02:00:00Z: unrecorded, stays until 2026-11-22T02:00:00Z and does not count",
				"- 2026-11-17T02:00:00Z: unrecorded for more than 24 hours",
			},
		},
		{
			name: "only incomplete ones", rules: Rules{Last: 5, Daily: 7}, now: "2026-11-21T12:00:00Z",
			points: []string{"2026-11-18T02:00:00Z incomplete"},
			want:   []string{"- 2026-11-18T02:00:00Z: incomplete for more than 24 hours"},
		},
		{
			name: "one that cannot be read is kept and takes no place", rules: Rules{Last: 1},
			points: []string{"2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z", "2026-11-21T02:00:00Z unreadable"},
			want: []string{
				"+ 2026-11-21T02:00:00Z: it cannot be read, so no rule judges it",
				"+ 2026-11-20T02:00:00Z: newest complete, last 1 of 1",
				"- 2026-11-19T02:00:00Z: no rule keeps it",
			},
		},
		{
			name: "one from the future takes nobody's place", rules: Rules{Last: 1, Within: calendar.Span{Days: 1}}, now: "2026-11-21T12:00:00Z",
			points: []string{"2026-11-19T02:00:00Z", "2026-11-21T02:00:00Z", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z incomplete"},
			want: []string{
				"+ 2030-01-02T00:00:00Z: its date is in the future, so no rule judges it",
				"+ 2030-01-01T00:00:00Z: its date is in the future, so no rule judges it",
				"+ 2026-11-21T02:00:00Z: newest complete, last 1 of 1, within 1d",
				"- 2026-11-19T02:00:00Z: no rule keeps it",
			},
		},
		{
			name: "a clock that was set back removes nothing", rules: Rules{Last: 1}, now: "2020-01-01T00:00:00Z",
			points: []string{"2026-11-19T02:00:00Z", "2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z unrecorded"},
			want: []string{
				"+ 2026-11-21T03:00:00Z: its date is in the future, so no rule judges it",
				"+ 2026-11-21T02:00:00Z: its date is in the future, so no rule judges it",
				"+ 2026-11-19T02:00:00Z: its date is in the future, so no rule judges it",
			},
		},
	} {
		test.check(t)
	}
}

// TestDecideInZones: in Berlin the clocks go from 02:00 to 03:00 on 29 March 2026 and from 03:00 back to 02:00 on 25
// October; on Lord Howe they go back by half an hour on 5 April; Apia skipped 30 December 2011.
func TestDecideInZones(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin"
	for _, test := range []golden{
		{
			name: "the same recovery points, by days in UTC", rules: Rules{Daily: 2},
			points: []string{"2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z", "2026-11-21T14:00:00Z"},
			want: []string{
				"+ 2026-11-21T14:00:00Z: newest complete, daily 2026-11-21",
				"+ 2026-11-20T16:00:00Z: daily 2026-11-20",
				"- 2026-11-20T14:00:00Z: no rule keeps it",
			},
		},
		{
			name: "and by days in Tokyo", rules: Rules{Daily: 2}, zone: "Asia/Tokyo",
			points: []string{"2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z", "2026-11-21T14:00:00Z"},
			want: []string{
				"+ 2026-11-21T14:00:00Z: newest complete, daily 2026-11-21",
				"- 2026-11-20T16:00:00Z: no rule keeps it",
				"+ 2026-11-20T14:00:00Z: daily 2026-11-20",
			},
		},
		{
			name: "the turn of the year comes later in New York", rules: Rules{Yearly: 2, Monthly: 1, Weekly: 1}, zone: "America/New_York",
			now:    "2027-02-01T00:00:00Z",
			points: []string{"2025-06-01T00:00:00Z", "2026-12-31T23:00:00Z", "2027-01-01T04:59:59Z"},
			want: []string{
				"+ 2027-01-01T04:59:59Z: newest complete, weekly 2026-W53, monthly 2026-12, yearly 2026",
				"- 2026-12-31T23:00:00Z: no rule keeps it",
				"+ 2025-06-01T00:00:00Z: yearly 2025",
			},
		},
		{
			name: "autumn: the hour that comes twice is two hours", rules: Rules{Hourly: 3}, zone: berlin,
			points: []string{"2026-10-24T23:30:00Z", "2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"},
			want: []string{
				"+ 2026-10-25T01:45:00Z: newest complete, hourly 2026-10-25T02+01:00",
				"- 2026-10-25T01:15:00Z: no rule keeps it",
				"+ 2026-10-25T00:45:00Z: hourly 2026-10-25T02+02:00",
				"- 2026-10-25T00:15:00Z: no rule keeps it",
				"+ 2026-10-24T23:30:00Z: hourly 2026-10-25T01+02:00",
			},
		},
		{
			name: "spring: there is no hour from 02:00", rules: Rules{Hourly: 2}, zone: berlin,
			points: []string{"2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:59:59Z"},
			want: []string{
				"+ 2026-03-29T01:59:59Z: newest complete, hourly 2026-03-29T03+02:00",
				"- 2026-03-29T01:00:00Z: no rule keeps it",
				"+ 2026-03-29T00:59:59Z: hourly 2026-03-29T01+01:00",
			},
		},
		{
			name: "a day of 25 hours is one day", rules: Rules{Daily: 2}, zone: berlin,
			points: []string{"2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z"},
			want: []string{
				"+ 2026-10-25T22:59:59Z: newest complete, daily 2026-10-25",
				"- 2026-10-24T22:00:00Z: no rule keeps it",
				"+ 2026-10-24T21:59:59Z: daily 2026-10-24",
			},
		},
		{
			name: "within a day of 25 hours", rules: Rules{Within: calendar.Span{Days: 1}}, zone: berlin,
			points: []string{"2026-10-24T10:00:00Z", "2026-10-24T10:00:01Z", "2026-10-25T11:00:00Z"},
			want: []string{
				"+ 2026-10-25T11:00:00Z: newest complete, within 1d",
				"+ 2026-10-24T10:00:01Z: within 1d",
				"- 2026-10-24T10:00:00Z: no rule keeps it",
			},
		},
		{
			name: "within 24 hours of that day", rules: Rules{Within: calendar.Span{Elapsed: 24 * time.Hour}}, zone: berlin,
			points: []string{"2026-10-24T11:00:00Z", "2026-10-24T11:00:01Z", "2026-10-25T11:00:00Z"},
			want: []string{
				"+ 2026-10-25T11:00:00Z: newest complete, within 24h",
				"+ 2026-10-24T11:00:01Z: within 24h",
				"- 2026-10-24T11:00:00Z: no rule keeps it",
			},
		},
		{
			name: "half an hour comes twice", rules: Rules{Hourly: 2}, zone: "Australia/Lord_Howe",
			points: []string{"2026-04-04T14:15:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"},
			want: []string{
				"+ 2026-04-04T15:15:00Z: newest complete, hourly 2026-04-05T01+10:30",
				"+ 2026-04-04T14:45:00Z: hourly 2026-04-05T01+11:00",
				"- 2026-04-04T14:15:00Z: no rule keeps it",
			},
		},
		{
			name: "a day that was skipped", rules: Rules{Daily: 2, Within: calendar.Span{Days: 2}}, zone: "Pacific/Apia",
			points: []string{"2011-12-29T10:00:00Z", "2011-12-30T09:00:00Z", "2011-12-30T11:00:00Z"},
			want: []string{
				"+ 2011-12-30T11:00:00Z: newest complete, daily 2011-12-31, within 2d",
				"+ 2011-12-30T09:00:00Z: daily 2011-12-29, within 2d",
				"- 2011-12-29T10:00:00Z: no rule keeps it",
			},
		},
	} {
		test.check(t)
	}
}

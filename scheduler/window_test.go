package scheduler

import (
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/clock"
)

// schedule parses a schedule in a time zone.
func schedule(t *testing.T, fields, zone string) next {
	t.Helper()
	s, err := clock.ParseSchedule(fields, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s.Next
}

func date(month time.Month, day, hour, minute int) time.Time {
	return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
}

// TestWindowAt compares the search with walking through all times of a schedule, around them and between them.
func TestWindowAt(t *testing.T) {
	t.Parallel()
	var at time.Time
	var moved window
	for _, test := range []struct{ fields, zone string }{
		{"*/20 * * * *", "Europe/Berlin"},
		{"30 2 * * *", "Europe/Berlin"},
		{"30 2,3 * * *", "America/New_York"},
		{"15 2 * * *", "Australia/Lord_Howe"},
		{"0 0 * * *", "America/Havana"},
		{"* 3 * * sun", "Europe/Berlin"},
		{"0 5 31 * *", ""},
	} {
		next := schedule(t, test.fields, test.zone)
		moved = window{}
		for i := range 4 * 200 {
			// Clocks are set soon after each of these.
			if i%200 == 0 {
				at = next([]time.Time{date(3, 7, 12, 0), date(3, 28, 12, 0), date(10, 3, 6, 0), date(10, 24, 12, 0)}[i/200])
			}
			following := next(at)
			for _, now := range []time.Time{
				at, at.Add(time.Millisecond), at.Add(time.Second), at.Add(following.Sub(at) / 3), following.Add(-time.Second),
			} {
				w := windowAt(next, now)
				moved = moved.move(next, now)
				if moved != w {
					t.Fatalf("%s in %s at %s: moved to %s to %s, want %s to %s", test.fields, test.zone, now, moved.due, moved.next, w.due, w.next)
				}
				if !w.due.Equal(at) || !w.next.Equal(following) || !w.holds(now) || w.holds(following) || w.holds(at.Add(-1)) {
					t.Fatalf("%s in %s at %s: %s to %s, want %s to %s", test.fields, test.zone, now, w.due, w.next, at, following)
				}
			}
			at = following
		}
	}
}

func TestWindowOfRareSchedules(t *testing.T) {
	t.Parallel()
	leap := schedule(t, "0 0 29 2 *", "")
	w := windowAt(leap, date(11, 21, 12, 0))
	if got := w.due.Format(time.DateOnly) + " " + w.next.Format(time.DateOnly); got != "2024-02-29 2028-02-29" {
		t.Error(got)
	}
	var never clock.Schedule
	if w := windowAt(never.Next, date(11, 21, 12, 0)); !w.due.IsZero() || !w.next.IsZero() || w.holds(date(11, 21, 12, 0)) {
		t.Errorf("never is due at %s and then at %s", w.due, w.next)
	}
}

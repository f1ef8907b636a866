package main

import (
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// pointsText is how commands explain what may be written after the @.
const pointsText = `Name a recovery point by its id, or by the beginning of its id. Or give a time; that means the last complete recovery point
whose data is at least as old: 2026-11-21T09:30:00Z, or a date or part of a time such as 2026-11-21 or 2026-11-21T09:30, up to its
end, in UTC unless it says otherwise; today or yesterday, up to the day's end; or how long ago, such as 3h, 90min or 2d. "latest",
or nothing, means the latest complete one. An incomplete recovery point has to be named by its id.`

// when is the moment that a recovery point is asked for by, and whether ref is one. A date, or a time without seconds, means
// all of it: whoever asks for a day wants what was saved on that day.
func when(ref string, now time.Time) (time.Time, bool) {
	now = now.UTC()
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	switch strings.ToLower(ref) {
	case "now":
		return now, true
	case "today":
		return midnight.AddDate(0, 0, 1).Add(-time.Nanosecond), true
	case "yesterday":
		return midnight.Add(-time.Nanosecond), true
	}
	if at, err := time.Parse(time.RFC3339Nano, ref); err == nil {
		return at, true
	}
	ref = strings.Replace(ref, " ", "T", 1)
	for _, form := range []struct {
		layout string
		end    func(time.Time) time.Time
	}{
		{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{time.DateOnly, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01-02T15", func(t time.Time) time.Time { return t.Add(time.Hour) }},
		{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
		{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
	} {
		for _, zone := range []string{"", "Z07:00"} {
			if at, err := time.Parse(form.layout+zone, ref); err == nil {
				return form.end(at).Add(-time.Nanosecond), true
			}
		}
	}
	span, err := retention.ParseSpan(ref)
	if err != nil {
		return time.Time{}, false
	}
	return span.Before(now), true
}

// at is the target with a recovery point that a time names written as the catalog reads times.
func (t target) at(now time.Time) target {
	if moment, isTime := when(t.recoveryPoint, now); isTime {
		t.recoveryPoint = moment.Format(time.RFC3339Nano)
	}
	return t
}

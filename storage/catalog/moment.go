package catalog

import (
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
)

// Moment is the moment by which ref asks for a recovery point; false if ref is no time. A date, or a time without
// seconds, means the end of it: whoever asks for a day wants what was saved on that day.
func Moment(ref string, now time.Time) (time.Time, bool) {
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
	span, err := calendar.ParseSpan(ref)
	if err != nil {
		return time.Time{}, false
	}
	return span.Before(now), true
}

// Ref turns a reference to a recovery point into one that Find reads: a time in words, as Moment knows them, becomes an
// RFC 3339 time. It leaves all others as they are.
func Ref(ref string, now time.Time) string {
	if moment, isTime := Moment(ref, now); isTime {
		return moment.Format(time.RFC3339Nano)
	}
	return ref
}

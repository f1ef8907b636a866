package calendar

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span is a length of time on the calendar. A day is one day on the calendar, even if it has 23 or 25 hours.
type Span struct {
	Years, Months, Days int
	// Elapsed is the part in hours and minutes.
	Elapsed time.Duration
}

// maxSpanPart bounds the numbers of a Span: no calendar goes further.
const maxSpanPart = 100_000

// ParseSpan reads numbers with units, such as 30d or 1y6mo: y, mo, w, d, h and min. A lone m is refused, because it is
// months to some and minutes to others.
func ParseSpan(text string) (Span, error) {
	fail := func(reason string) (Span, error) {
		return Span{}, fmt.Errorf("%q is not a duration: %s; write for example 36h, 30d, 8w or 1y6mo", text, reason)
	}
	var span Span
	rest := strings.TrimSpace(text)
	if rest == "" {
		return fail("it is empty")
	}
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		number, err := strconv.Atoi(rest[:digits])
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return fail("a number is missing")
		}
		if err != nil || number > maxSpanPart {
			return fail("it is longer than any calendar")
		}
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		if reason := span.add(number, rest[:letters]); reason != "" {
			return fail(reason)
		}
		rest = rest[letters:]
	}
	return span, nil
}

// add adds a number of units. It returns what is wrong with the unit; empty if nothing is.
func (s *Span) add(number int, unit string) string {
	switch unit {
	case "y":
		s.Years += number
	case "mo":
		s.Months += number
	case "w":
		s.Days += 7 * number
	case "d":
		s.Days += number
	case "h":
		s.Elapsed += time.Duration(number) * time.Hour
	case "min":
		s.Elapsed += time.Duration(number) * time.Minute
	case "m":
		return "m could be months or minutes, which are mo and min"
	case "":
		return "a unit is missing"
	default:
		return fmt.Sprintf("there is no unit %q", unit)
	}
	return ""
}

// Before returns the time that is the span before t, on the calendar of t's time zone. One month before 31
// March is the last day of February.
func (s Span) Before(t time.Time) time.Time {
	year, month, day := t.Date()
	first := time.Date(year-s.Years, month-time.Month(s.Months), 1, 0, 0, 0, 0, time.UTC)
	day = min(day, first.AddDate(0, 1, -1).Day())
	hour, minute, second := t.Clock()
	if s.Years == 0 && s.Months == 0 && s.Days == 0 {
		return t.Add(-s.Elapsed)
	}
	return time.Date(first.Year(), first.Month(), day-s.Days, hour, minute, second, t.Nanosecond(), t.Location()).Add(-s.Elapsed)
}

// String writes the span in the form that ParseSpan reads.
func (s Span) String() string {
	var b strings.Builder
	for _, part := range []struct {
		number int
		unit   string
	}{
		{s.Years, "y"}, {s.Months, "mo"}, {s.Days, "d"},
		{int(s.Elapsed / time.Hour), "h"}, {int(s.Elapsed % time.Hour / time.Minute), "min"},
	} {
		if part.number != 0 {
			fmt.Fprintf(&b, "%d%s", part.number, part.unit)
		}
	}
	if b.Len() == 0 {
		return "0h"
	}
	return b.String()
}

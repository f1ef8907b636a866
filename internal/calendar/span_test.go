package calendar

import (
	"strings"
	"testing"
	"time"
)

func TestParseSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		span    Span
		written string
	}{
		"36h":            {Span{Elapsed: 36 * time.Hour}, "36h"},
		"30d":            {Span{Days: 30}, "30d"},
		"2w1d":           {Span{Days: 15}, "15d"},
		"1y6mo":          {Span{Years: 1, Months: 6}, "1y6mo"},
		" 1y2mo3d4h5min": {Span{Years: 1, Months: 2, Days: 3, Elapsed: 4*time.Hour + 5*time.Minute}, "1y2mo3d4h5min"},
		"90min":          {Span{Elapsed: 90 * time.Minute}, "1h30min"},
		"0d":             {Span{}, "0h"},
	} {
		got, err := ParseSpan(text)
		if err != nil || got != want.span || got.String() != want.written {
			t.Errorf("ParseSpan(%q) = %+v %q, %v; want %+v %q", text, got, got, err, want.span, want.written)
		}
		if again, err := ParseSpan(got.String()); err != nil || again != got {
			t.Errorf("%q is read again as %+v, %v", got, again, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "  ": "empty", "7": "a unit is missing", "d": "a number is missing", "-1d": "a number is missing",
		"1d-2h": "a number is missing",
		"5m":    "mo and min", "3 d": `a unit is missing`, "1.5d": "a unit is missing", "4q": `no unit "q"`, "1D": "a unit is missing",
		"999999999d": "longer than any calendar", "99999999999999999999d": "longer than any calendar",
	} {
		if _, err := ParseSpan(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "1y6mo") {
			t.Errorf("ParseSpan(%q): %v; want %q and an example", text, err, want)
		}
	}
}

func TestSpanBefore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ span, zone, from, want string }{
		{"36h", "", "2026-11-21T12:00:00Z", "2026-11-20T00:00:00Z"},
		{"30d", "", "2026-03-15T12:00:00Z", "2026-02-13T12:00:00Z"},
		{"1mo", "", "2026-03-31T12:00:00Z", "2026-02-28T12:00:00Z"},
		{"1mo", "", "2024-03-31T12:00:00Z", "2024-02-29T12:00:00Z"},
		{"1y", "", "2024-02-29T12:00:00Z", "2023-02-28T12:00:00Z"},
		{"13mo", "", "2026-01-31T12:00:00Z", "2024-12-31T12:00:00Z"},
		{"1mo1d", "", "2026-03-31T12:00:00Z", "2026-02-27T12:00:00Z"},
		{"1d", "Europe/Berlin", "2026-10-25T11:00:00Z", "2026-10-24T10:00:00Z"},
		{"24h", "Europe/Berlin", "2026-10-25T11:00:00Z", "2026-10-24T11:00:00Z"},
		{"30min", "Europe/Berlin", "2026-10-25T01:15:00Z", "2026-10-25T00:45:00Z"},
		{"1d", "Europe/Berlin", "2026-03-29T22:30:00Z", "2026-03-28T23:30:00Z"},
	} {
		span, err := ParseSpan(test.span)
		if err != nil {
			t.Fatal(err)
		}
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		got := span.Before(from.In(zone)).UTC().Format(time.RFC3339)
		if got != test.want {
			t.Errorf("%s before %s in %q is %s, want %s", test.span, test.from, test.zone, got, test.want)
		}
	}
}

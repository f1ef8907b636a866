package catalog

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 7, 15, 30, 0, time.FixedZone("", 2*3600)) // 05:15:30 UTC
	for ref, want := range map[string]string{
		"now":                       "2026-11-28T05:15:30Z",
		"today":                     "2026-11-28T23:59:59.999999999Z",
		"Yesterday":                 "2026-11-27T23:59:59.999999999Z",
		"2026-11":                   "2026-11-30T23:59:59.999999999Z",
		"2026-11-28":                "2026-11-28T23:59:59.999999999Z",
		"2026-11-28T01":             "2026-11-28T01:59:59.999999999Z",
		"2026-11-28T01:24":          "2026-11-28T01:24:59.999999999Z",
		"2026-11-28 01:24":          "2026-11-28T01:24:59.999999999Z",
		"2026-11-28T01:24:30":       "2026-11-28T01:24:30.999999999Z",
		"2026-11-28T01:24+02:00":    "2026-11-27T23:24:59.999999999Z",
		"2026-11-28T01:24:30Z":      "2026-11-28T01:24:30Z",
		"2026-11-28T01:24:30-01:00": "2026-11-28T02:24:30Z",
		"3h":                        "2026-11-28T02:15:30Z",
		"90min":                     "2026-11-28T03:45:30Z",
		"1d12h":                     "2026-11-26T17:15:30Z",
		"2mo":                       "2026-09-28T05:15:30Z",
		// Ids, their beginnings, and references that are no time at all.
		"20261121T081200Z-3fa91c07": "", "20261121": "", "2026": "", "20261121T08": "", "latest": "", "": "", "2026-13-01": "", "5m": "", "h": "",
		"2026-11-28T25:00": "", "tomorrow's": "",
	} {
		got, isTime := Moment(ref, now)
		if isTime != (want != "") || isTime && got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("Moment(%q) = %s, %v; want %q", ref, got.UTC().Format(time.RFC3339Nano), isTime, want)
		}
	}
}

// Ref leaves references that are no time to Find, and writes a time so that Find reads the same moment.
func TestRef(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 5, 15, 30, 0, time.UTC)
	for ref, want := range map[string]string{
		"": "", "latest": "latest", "20261121T08": "20261121T08", "3h": "2026-11-28T02:15:30Z", "2026-11-27": "2026-11-27T23:59:59.999999999Z",
	} {
		if got := Ref(ref, now); got != want || Ref(got, now) != want {
			t.Errorf("Ref(%q) = %q, and of that %q; want %q", ref, got, Ref(got, now), want)
		}
	}
}

package clock

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// next returns the first count times after start, in the zone's local time.
func next(t *testing.T, fields, zone, start string, count int) []string {
	t.Helper()
	schedule, err := ParseSchedule(fields, zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	var times []string
	for range count {
		at = schedule.Next(at)
		times = append(times, at.Format(time.RFC3339))
	}
	return times
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, fields, zone, start string
		want                      []string
	}{
		{"daily", "30 2 * * *", "", "2026-11-21T02:29:59Z", []string{"2026-11-21T02:30:00Z", "2026-11-22T02:30:00Z"}},
		{"the time itself is not after it", "30 2 * * *", "UTC", "2026-11-21T02:30:00Z", []string{"2026-11-22T02:30:00Z"}},
		{"fractions of a second", "30 2 * * *", "UTC", "2026-11-21T02:29:59.999Z", []string{"2026-11-21T02:30:00Z"}},
		{"in a zone, asked in another", "0 1 * * *", "Asia/Tokyo", "2026-11-21T12:00:00Z", []string{"2026-11-22T01:00:00+09:00"}},
		{"@daily", "@daily", "Europe/Berlin", "2026-06-01T12:00:00Z", []string{"2026-06-02T00:00:00+02:00"}},
		{"lists, ranges, steps and names", "*/30 8-9 * nov mon,Tue", "", "2026-11-22T00:00:00Z", []string{
			"2026-11-23T08:00:00Z", "2026-11-23T08:30:00Z", "2026-11-23T09:00:00Z", "2026-11-23T09:30:00Z", "2026-11-24T08:00:00Z",
		}},
		{
			"either day suffices", "0 0 1 * mon", "", "2026-11-28T00:00:00Z",
			[]string{"2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-07T00:00:00Z"},
		},
		{"leap day", "0 0 29 2 *", "", "2026-11-21T00:00:00Z", []string{"2028-02-29T00:00:00Z"}},
		{"the 31st skips short months", "0 0 31 * *", "", "2026-08-31T00:00:00Z", []string{"2026-10-31T00:00:00Z", "2026-12-31T00:00:00Z"}},
	} {
		if diff := cmp.Diff(test.want, next(t, test.fields, test.zone, test.start, len(test.want))); diff != "" {
			t.Errorf("%s: %q (-want +got):\n%s", test.name, test.fields, diff)
		}
	}
}

// TestNextAcrossChangesOfTheClocks has a case for each way in which a schedule can meet a change. In Berlin the clocks
// go from 02:00 to 03:00 on 29 March 2026 and from 03:00 back to 02:00 on 25 October; in Havana they go from midnight
// to 01:00 on 8 March, and on Lord Howe by half an hour.
func TestNextAcrossChangesOfTheClocks(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin"
	for _, test := range []struct {
		name, fields, zone, start string
		want                      []string
	}{
		{
			"spring: a skipped time is due at the change", "30 2 * * *", berlin, "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		},
		{
			"spring: the skipped hour's start", "0 2 * * *", berlin, "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"},
		},
		{"spring: just before the change", "30 2 * * *", berlin, "2026-03-29T01:59:59+01:00", []string{"2026-03-29T03:00:00+02:00"}},
		{
			"spring: once at the change", "0 2,3 * * *", berlin, "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"},
		},
		{
			"spring: not skipped", "30 3 * * *", berlin, "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:30:00+02:00", "2026-03-30T03:30:00+02:00"},
		},
		{
			"spring: every hour that there is", "0 * * * *", berlin, "2026-03-29T00:30:00+01:00",
			[]string{"2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		},
		{"spring: @hourly", "@hourly", berlin, "2026-03-29T01:00:00+01:00", []string{"2026-03-29T03:00:00+02:00"}},
		{
			"autumn: the first of two", "30 2 * * *", berlin, "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		},
		{"autumn: between the two", "30 2 * * *", berlin, "2026-10-25T02:10:00+01:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"autumn: after the first", "30 2 * * *", berlin, "2026-10-25T02:30:00+02:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"autumn: comes once", "30 3 * * *", berlin, "2026-10-24T12:00:00+02:00", []string{"2026-10-25T03:30:00+01:00"}},
		{"autumn: every hour, both of them", "0 * * * *", berlin, "2026-10-25T01:30:00+02:00", []string{
			"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00",
		}},
		{
			"autumn: every quarter of an hour", "*/15 * * * *", berlin, "2026-10-25T02:45:00+02:00",
			[]string{"2026-10-25T02:00:00+01:00", "2026-10-25T02:15:00+01:00"},
		},
		{
			"weekly, over the change", "30 2 * * sun", berlin, "2026-03-23T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-04-05T02:30:00+02:00"},
		},
		{
			"a day without a midnight", "0 0 * * *", "America/Havana", "2026-03-07T12:00:00-05:00",
			[]string{"2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"},
		},
		{
			"@daily, a day without a midnight", "@daily", "America/Havana", "2026-03-07T12:00:00-05:00",
			[]string{"2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"},
		},
		{
			"half an hour skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"},
		},
		{
			"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
		},
	} {
		if diff := cmp.Diff(test.want, next(t, test.fields, test.zone, test.start, len(test.want))); diff != "" {
			t.Errorf("%s: %q in %s (-want +got):\n%s", test.name, test.fields, test.zone, diff)
		}
	}
}

// A daily schedule has as many backups in a year as the year has days, whatever the clocks do.
func TestNoDayIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Chatham",
	} {
		for _, hour := range []string{"0", "1", "2", "3", "23"} {
			schedule, err := ParseSchedule("30 "+hour+" * * *", zone)
			if err != nil {
				t.Fatal(err)
			}
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			count, end := 0, time.Date(2027, 1, 1, 0, 0, 0, 0, location)
			days := map[string]bool{}
			for at := schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, location)); at.Before(end); at = schedule.Next(at) {
				count++
				days[at.Format(time.DateOnly)] = true
			}
			if count != 365 || len(days) != 365 {
				t.Errorf("30 %s * * * in %s is due %d times on %d days of 2026", hour, zone, count, len(days))
			}
		}
	}
}

func TestParseScheduleErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ fields, zone, want string }{
		{"", "", "is empty"},
		{"   ", "", "is empty"},
		{"60 * * * *", "", `minute "60"`},
		{"-1 * * * *", "", `minute "-1"`},
		{"x * * * *", "", `minute "x"`},
		{"*/0 * * * *", "", `minute "*/0"`},
		{"5-1 * * * *", "", `minute "5-1"`},
		{"0 24 * * *", "", `hour "24"`},
		{"0 0 0 * *", "", `day of month "0"`},
		{"0 0 32 * *", "", `day of month "32"`},
		{"0 0 * 13 *", "", `month "13"`},
		{"0 0 * foo *", "", `month "foo"`},
		{"0 0 * * 8", "", `day of week "8"`},
		{"0 0 * * monday", "", `day of week "monday"`},
		{"0 0 30 2 *", "", "no such day"},
		{"0 0 31 4,6 *", "", "no such day"},
		{"0 2 * *", "", "has 4 fields and must have 5"},
		{"0 0 2 * * *", "", "leave out the seconds"},
		{"1 2 3 4 5 6 7", "", "has 7 fields"},
		{"@fortnightly", "", `"@fortnightly": is unknown; `},
		{"@never", "", `"@never": is unknown; write five fields, or one of @hourly, @daily, @weekly, @monthly, @yearly`},
		{"@dayly", "", `did you mean "@daily"?`},
		{"@Hourly", "", `did you mean "@hourly"?`},
		{"0 2 * * *", "Europe/Berln", `no time zone "Europe/Berln"; did you mean "Europe/Berlin"?`},
		{"0 2 * * *", "Eurpoe/berlin", `did you mean "Europe/Berlin"?`},
		{"0 2 * * *", "America/New York", `did you mean "America/New_York"?`},
		{"0 2 * * *", "Tokyo", `did you mean "Asia/Tokyo"?`},
		{"@every 6h", "", "@every counts from"},
		{"@every", "", "@every counts from"},
		{"TZ=UTC", "", "names a time zone"},
		{"TZ=UTC 0 2 * * *", "", "names a time zone"},
		{"CRON_TZ=UTC 0 2 * * *", "", "names a time zone"},
		{"0 2 * * *", "Europe/Bonn", `no time zone "Europe/Bonn"`},
		{"0 2 * * *", "Local", "differs from machine to machine"},
		{"0 2 * * *", "../../etc/passwd", "no time zone"},
	} {
		if _, err := ParseSchedule(test.fields, test.zone); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ParseSchedule(%q, %q): %v; want an error that says %q", test.fields, test.zone, err, test.want)
		}
	}
}

// TestZoneNames: every name that may be suggested is a time zone.
func TestZoneNames(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(zoneNames) {
		words := strings.Fields(line)
		for _, city := range words[1:] {
			if _, err := Zone(words[0] + "/" + city); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestScheduleString(t *testing.T) {
	t.Parallel()
	schedule, err := ParseSchedule(" 30  2 * * * ", "Europe/Berlin")
	if err != nil || schedule.String() != "30 2 * * * Europe/Berlin" {
		t.Errorf("String() = %q, %v", schedule, err)
	}
	var never Schedule
	if never.String() != "never" || !never.Next(time.Unix(0, 0)).IsZero() {
		t.Errorf("the zero schedule is %q and next due %v", never, never.Next(time.Unix(0, 0)))
	}
}

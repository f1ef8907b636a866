package clock

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the scheduler's image has no time zones of its own

	"github.com/robfig/cron/v3"

	"github.com/stsbackup/stsbackup/internal/nearest"
)

// Schedule says when something is due. The zero value is never due.
type Schedule struct {
	fields string
	zone   *time.Location
	// wall evaluates the fields without a time zone: as if the clock on the wall showed UTC.
	wall cron.Schedule
	// elapsed evaluates the fields in the time zone, step by step through elapsed time; nil unless the schedule is for
	// every hour.
	elapsed cron.Schedule
}

// field is one of the five parts of a schedule.
type field struct {
	name   string
	option cron.ParseOption
}

func fields() []field {
	return []field{{"minute", cron.Minute}, {"hour", cron.Hour}, {"day of month", cron.Dom}, {"month", cron.Month}, {"day of week", cron.Dow}}
}

// hourField is the index of the hour among the fields.
const hourField = 1

// ParseSchedule reads the fields "minute hour day-of-month month day-of-week", or one of @hourly, @daily, @weekly,
// @monthly and @yearly, in a time zone of the IANA database, such as Europe/Berlin; "" is UTC. If both days are
// restricted, one of them suffices, as in every cron. Errors name the wrong field.
func ParseSchedule(text, zone string) (Schedule, error) {
	location, err := Zone(zone)
	if err != nil {
		return Schedule{}, err
	}
	text = strings.Join(strings.Fields(text), " ")
	if err := check(text); err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return Schedule{}, fmt.Errorf("schedule %q: not a time of day", text)
	}
	wall, elapsed := *spec, *spec
	wall.Location, elapsed.Location = time.UTC, location
	if wall.Next(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q: there is no such day in any month that it names", text)
	}
	schedule := Schedule{fields: text, zone: location, wall: &wall}
	if everyHour(text) {
		schedule.elapsed = &elapsed
	}
	return schedule, nil
}

// Zone finds a time zone of the IANA database by its name, such as Europe/Berlin; "" is UTC.
func Zone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New(`time zone "Local" differs from machine to machine; name one, such as Europe/Berlin`)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		if near := likeZone(name); near != "" {
			return nil, fmt.Errorf("there is no time zone %.80q; did you mean %q?", name, near)
		}
		return nil, fmt.Errorf("there is no time zone %q; write one of the IANA database, such as Europe/Berlin or UTC", name)
	}
	return location, nil
}

// check finds errors that cron's parser does not tell apart, and names the field.
func check(text string) error {
	parts := strings.Fields(text)
	switch {
	case len(parts) == 0:
		return errors.New("is empty; write \"minute hour day-of-month month day-of-week\", such as \"30 2 * * *\"")
	case strings.Contains(parts[0], "TZ="):
		return errors.New("names a time zone; that goes beside the schedule, not into it")
	case parts[0] == "@every":
		return errors.New("@every counts from whenever the scheduler was started; write times, such as \"0 */6 * * *\" for every six hours")
	case strings.HasPrefix(parts[0], "@"):
		return checkDescriptor(text)
	case len(parts) == len(fields())+1:
		return errors.New("has 6 fields; leave out the seconds: minute, hour, day of month, month, day of week")
	case len(parts) != len(fields()):
		return fmt.Errorf("has %d fields and must have 5: minute, hour, day of month, month, day of week", len(parts))
	}
	for i, field := range fields() {
		if _, err := cron.NewParser(field.option).Parse(parts[i]); err != nil {
			return fmt.Errorf("%s %q: %w", field.name, parts[i], err)
		}
	}
	return nil
}

// checkDescriptor rejects an unknown schedule name.
func checkDescriptor(text string) error {
	known := []string{"@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@midnight", "@annually"}
	if slices.Contains(known, text) {
		return nil
	}
	if near := nearest.Name(text, known); near != "" {
		return fmt.Errorf("is unknown; did you mean %q?", near)
	}
	return fmt.Errorf("is unknown; write five fields, or one of %s", strings.Join(known[:5], ", "))
}

// everyHour reports whether a schedule leaves the hour open.
func everyHour(text string) bool {
	if strings.HasPrefix(text, "@") {
		return text == "@hourly"
	}
	hour := strings.Fields(text)[hourField]
	return hour == "*" || hour == "?" || hour == "*/1"
}

// Next returns the first time after the given one at which the schedule is due, in the schedule's time zone, or the
// zero time if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	if s.wall == nil {
		return time.Time{}
	}
	after = after.In(s.zone)
	if s.elapsed != nil {
		return s.elapsed.Next(after)
	}
	year, month, day := after.Date()
	hour, minute, second := after.Clock()
	shown := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	for {
		shown = s.wall.Next(shown)
		if shown.IsZero() {
			return time.Time{}
		}
		// If the clocks have been set back, the time that they show now may have been due the first time they showed
		// it.
		if due := moment(shown, s.zone); due.After(after) {
			return due
		}
	}
}

// moment returns when the clocks of a zone show what shown shows in UTC. If they show it twice, it returns the first
// time; if they skip it, it returns the moment at which they do.
func moment(shown time.Time, zone *time.Location) time.Time {
	const day = 24 * time.Hour // longer than any zone's offset from UTC, and shorter than the time between two changes
	_, before := shown.Add(-day).In(zone).Zone()
	_, after := shown.Add(day).In(zone).Zone()
	// The larger offset from UTC gives the earlier moment.
	for _, offset := range []int{max(before, after), min(before, after)} {
		due := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, actual := due.Zone(); actual == offset {
			return due
		}
	}
	change, _ := shown.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return change
}

// String returns the schedule and its time zone as they were written.
func (s Schedule) String() string {
	if s.wall == nil {
		return "never"
	}
	return s.fields + " " + s.zone.String()
}

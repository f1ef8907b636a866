package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
)

// State says how complete a recovery point is.
type State string

// The states of recovery points.
const (
	// Complete: it holds everything that it should.
	Complete State = "complete"
	// Incomplete: it has a record, which says that some volumes failed.
	Incomplete State = "incomplete"
	// Unrecorded: it has volumes and no record. Its backup is running, or was interrupted.
	Unrecorded State = "unrecorded"
	// Unreadable: its state is unknown, because not everything could be read.
	Unreadable State = "unreadable"
)

// Grace is how long an incomplete or unrecorded recovery point stays after the last thing that happened to it.
const Grace = 24 * time.Hour

// Point is what a decision needs to know about a recovery point.
type Point struct {
	ID    string
	State State
	// Time is when it was begun: its place on the calendar.
	Time time.Time
	// Touched is when something last happened to it. Grace begins then.
	Touched time.Time
}

// Decision says what should happen to a recovery point.
type Decision struct {
	Point
	Keep bool
	// Reasons say why; there is always at least one. Several rules can keep the same recovery point.
	Reasons []string
}

// Decide says for each recovery point whether to keep or remove it, and why; the newest comes first. Calendar periods
// are those of zone. Even if the rules keep nothing, Decide keeps the newest complete recovery point.
func Decide(points []Point, rules Rules, now time.Time, zone *time.Location) []Decision {
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b Point) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.ID, a.ID))
	})
	used := newCounter(rules)
	decisions := make([]Decision, 0, len(points))
	for _, point := range points {
		decisions = append(decisions, used.decide(point, now, zone))
	}
	return decisions
}

// decide judges the next older recovery point.
func (c *counter) decide(point Point, now time.Time, zone *time.Location) Decision {
	switch {
	case point.State == Unreadable:
		return keep(point, "it cannot be read, so no rule judges it")
	case point.Time.After(now):
		return keep(point, "its date is in the future, so no rule judges it")
	case point.State != Complete:
		return unfinished(point, now)
	}
	if reasons := c.reasons(point.Time.In(zone)); len(reasons) > 0 {
		return keep(point, reasons...)
	}
	return Decision{Point: point, Reasons: []string{"no rule keeps it"}}
}

func keep(point Point, reasons ...string) Decision {
	return Decision{Point: point, Keep: true, Reasons: reasons}
}

// unfinished decides on a recovery point that is not complete.
func unfinished(point Point, now time.Time) Decision {
	end := point.Touched.Add(Grace)
	if now.Before(end) {
		return keep(point, fmt.Sprintf("%s, stays until %s and does not count", point.State, end.UTC().Format(time.RFC3339)))
	}
	return Decision{Point: point, Reasons: []string{fmt.Sprintf("%s for more than %d hours", point.State, Grace/time.Hour)}}
}

// counter says how far each rule has been used up on the way from the newest recovery point to the oldest.
type counter struct {
	rules []usedRule
	// within is the rule Within; since is where it ends, and begun says that there was a complete recovery point.
	within calendar.Span
	since  time.Time
	begun  bool
}

// usedRule is a rule that keeps a number of recovery points, and the period of the last one that it kept.
type usedRule struct {
	counted
	period string
	used   int
}

func newCounter(rules Rules) *counter {
	c := &counter{within: rules.Within}
	for _, rule := range rules.counts() {
		c.rules = append(c.rules, usedRule{counted: rule})
	}
	return c
}

// reasons returns the rules that keep the complete recovery point of this time, the next older one.
func (c *counter) reasons(t time.Time) []string {
	var reasons []string
	if !c.begun {
		c.begun = true
		c.since = c.within.Before(t)
		reasons = append(reasons, "newest complete")
	}
	for i := range c.rules {
		rule := &c.rules[i]
		period := periodOf(rule.name, t)
		if rule.used >= rule.count || period != "" && period == rule.period {
			continue
		}
		rule.used++
		rule.period = period
		if period == "" {
			period = fmt.Sprintf("%d of %d", rule.used, rule.count)
		}
		reasons = append(reasons, rule.name+" "+period)
	}
	if t.After(c.since) {
		reasons = append(reasons, "within "+c.within.String())
	}
	return reasons
}

// periodOf names the calendar period of a rule that contains t; "" for the rule last, which has none.
func periodOf(rule string, t time.Time) string {
	switch rule {
	case "hourly":
		return t.Format("2006-01-02T15Z07:00") // with the offset: when clocks are set back, the same hour comes twice
	case "daily":
		return t.Format(time.DateOnly)
	case "weekly":
		year, week := t.ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	case "monthly":
		return t.Format("2006-01")
	case "yearly":
		return t.Format("2006")
	default:
		return ""
	}
}

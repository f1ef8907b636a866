package retention

import (
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/calendar"
)

// Rules say what to keep. A zero field is no rule.
type Rules struct {
	// Last is how many of the newest recovery points are kept.
	Last int
	// Hourly to Yearly say for how many hours, days, ISO weeks, months and years the newest recovery point is kept.
	Hourly, Daily, Weekly, Monthly, Yearly int
	// Within keeps all recovery points made within this time before the newest one.
	Within calendar.Span
}

// ErrKeepsNothing is the error for rules that would keep nothing.
var ErrKeepsNothing = errors.New("this would keep nothing")

// Check rejects rules that nobody can mean: counts below zero, and, with ErrKeepsNothing, rules that would keep
// nothing.
func (r Rules) Check() error {
	something := r.Within != calendar.Span{}
	for _, rule := range r.counts() {
		if rule.count < 0 {
			return fmt.Errorf("%s is %d; give how many to keep", rule.name, rule.count)
		}
		something = something || rule.count > 0
	}
	if !something {
		return fmt.Errorf("%w: give at least one of last, hourly, daily, weekly, monthly, yearly and within more than 0", ErrKeepsNothing)
	}
	return nil
}

// counted is a rule that keeps a number of recovery points.
type counted struct {
	name  string
	count int
}

func (r Rules) counts() []counted {
	return []counted{
		{"last", r.Last},
		{"hourly", r.Hourly},
		{"daily", r.Daily},
		{"weekly", r.Weekly},
		{"monthly", r.Monthly},
		{"yearly", r.Yearly},
	}
}

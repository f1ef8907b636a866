package retention

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/internal/calendar"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, rules := range []Rules{
		{Last: 1}, {Hourly: 1}, {Daily: 1}, {Weekly: 1}, {Monthly: 1}, {Yearly: 1}, {Within: calendar.Span{Elapsed: time.Minute}},
	} {
		if err := rules.Check(); err != nil {
			t.Errorf("%+v: %v", rules, err)
		}
	}
	if err := (Rules{}).Check(); !errors.Is(err, ErrKeepsNothing) || !strings.Contains(err.Error(), "at least one of last, hourly") {
		t.Errorf("no rules: %v", err)
	}
	if err := (Rules{Last: 3, Weekly: -1}).Check(); err == nil || !strings.Contains(err.Error(), "weekly is -1") {
		t.Errorf("below zero: %v", err)
	}
}

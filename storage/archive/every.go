package archive

import (
	"sync"
	"time"
)

// Every is a Reporter that shows progress from time to time, and drops reports in between.
type Every struct {
	interval time.Duration
	now      func() time.Time
	show     func(Progress)

	mu   sync.Mutex
	next time.Time
}

// NewEvery makes a Reporter that calls show at most once in each interval, and never twice at the same time.
func NewEvery(interval time.Duration, now func() time.Time, show func(Progress)) *Every {
	return &Every{interval: interval, now: now, show: show}
}

// Report implements Reporter.
func (e *Every) Report(p Progress) {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Before(e.next) {
		return
	}
	e.next = now.Add(e.interval)
	e.show(p)
}

package holder

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Event is one line of the holder's report to the process that started it.
type Event struct {
	// Step is a step that has finished, At the time since the start.
	Step string        `json:"step,omitempty"`
	At   time.Duration `json:"at,omitempty"`
	// Ready is the last event of a successful start, Error of a failed one.
	Ready bool   `json:"ready,omitempty"`
	Error string `json:"error,omitempty"`
}

// reporter writes events as lines of JSON. Steps run at the same time, so it has a lock.
type reporter struct {
	mu    sync.Mutex
	to    *json.Encoder
	began time.Time
	now   func() time.Time
}

func newReporter(to io.Writer, now func() time.Time) *reporter {
	return &reporter{to: json.NewEncoder(to), began: now(), now: now}
}

func (r *reporter) send(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = r.now().Sub(r.began)
	_ = r.to.Encode(e) // if nobody reads any more, the lifeline ends us
}

func (r *reporter) step(text string) { r.send(Event{Step: text}) }

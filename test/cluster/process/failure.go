package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Failure is a component that ended or did not get ready.
type Failure struct {
	// Component is the component's name, Log its log file, Tail the last lines of that.
	Component, Log, Tail string
	// Err says what happened.
	Err error
}

// Error names the component and the log file, and shows the end of the log.
func (f *Failure) Error() string {
	tail := "    (the log is empty)"
	if f.Tail != "" {
		tail = "    " + strings.ReplaceAll(f.Tail, "\n", "\n    ")
	}
	return fmt.Sprintf("%s: %v\n  the last lines of %s:\n%s", f.Component, f.Err, f.Log, tail)
}

// Unwrap returns what happened.
func (f *Failure) Unwrap() error { return f.Err }

// tailLines is how many lines of a log a failure shows, tailBytes how much of its end is searched for them.
const (
	tailLines = 15
	tailBytes = 8 << 10
)

// Tail returns the last lines of a log file, "" if there is none.
func Tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// failure describes what happened to a process.
func (p *Process) failure(err error) error {
	return &Failure{Component: p.Name, Log: p.Log, Tail: Tail(p.Log), Err: err}
}

// Ended describes a component that has ended although nobody asked it to.
func (p *Process) Ended() error {
	err := p.exit()
	if err == nil {
		err = errors.New("exit status 0")
	}
	return p.failure(fmt.Errorf("ended by itself: %w", err))
}

// pollEvery is how often to ask a component whether it is ready.
const pollEvery = 50 * time.Millisecond

// Await asks repeatedly whether a component is ready. It fails if the component ends, or is not ready in time.
func (p *Process) Await(ctx context.Context, within time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("it was never asked")
	for {
		if err := ready(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return p.Ended()
		case <-ctx.Done():
			return p.failure(fmt.Errorf("not ready within %s: %w", within, last))
		case <-tick.C:
		}
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// beatEvery is how long a mover says nothing, unless there is nothing new to say.
const beatEvery = 5 * time.Second

// moverLines writes a mover's log.
type moverLines struct {
	mu   sync.Mutex
	said time.Time
}

// say writes a line.
func (l *moverLines) say(a *app, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = a.now()
	fmt.Fprintf(a.out, "%s\n", line) // whoever does not read it any more does not need it
}

// silent reports whether nothing has been said for a while.
func (l *moverLines) silent(a *app) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return a.now().Sub(l.said) >= beatEvery
}

// moverProgress has a mover say how much of the volume is done.
func (r *volumeReport) moverProgress(a *app) func(archive.Progress) {
	return func(p archive.Progress) {
		if line, err := r.pulse.Progress(p); err == nil {
			r.lines.say(a, line)
		}
	}
}

// begin has a mover say how far it is, from time to time, also while nothing of the volume is done; and what it does with the
// bucket is counted. Other commands do neither. It goes on until end is called.
func (r *volumeReport) begin(ctx context.Context, a *app, volume *volumeFlags) (end func()) {
	if r.resultFile == "" {
		return func() {}
	}
	volume.watch = r.pulse.Watch
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { r.beat(ctx, a) })
	return func() {
		cancel()
		beating.Wait()
	}
}

// beat says how far the mover is when nothing else was said for a while, and there is something new to say.
func (r *volumeReport) beat(ctx context.Context, a *app) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	var last []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		line, err := r.pulse.Beat()
		if err == nil && r.lines.silent(a) && !bytes.Equal(line, last) {
			r.lines.say(a, line)
			last = line
		}
	}
}

package mover

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
)

const (
	// beatEvery is how long a mover is silent if there is something new to say.
	beatEvery = 5 * time.Second
	// progressEvery is how often a mover says how much of the volume is done.
	progressEvery = time.Second
)

// Voice is how a mover reports its progress: it counts what the mover gets done, and writes the mover's log. It
// is an archive.Reporter.
type Voice struct {
	out   io.Writer
	now   func() time.Time
	pulse Pulse
	every *archive.Every

	mu   sync.Mutex
	said time.Time
}

// NewVoice makes a mover's Voice, which writes to out.
func NewVoice(out io.Writer, now func() time.Time) *Voice {
	v := &Voice{out: out, now: now}
	v.every = archive.NewEvery(progressEvery, now, func(p archive.Progress) {
		if line, err := v.pulse.Progress(p); err == nil {
			v.say(line)
		}
	})
	return v
}

// say writes a line.
func (v *Voice) say(line []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said = v.now()
	fmt.Fprintf(v.out, "%s\n", line) // a reader that has gone away does not need it
}

// silent reports whether the Voice has written nothing for a while.
func (v *Voice) silent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now().Sub(v.said) >= beatEvery
}

// Report implements archive.Reporter: it counts, and from time to time says how much of the volume is done.
func (v *Voice) Report(p archive.Progress) {
	v.pulse.Step()
	v.every.Report(p)
}

// Step counts one thing that was done.
func (v *Voice) Step() { v.pulse.Step() }

// Watch returns the bucket, with all use of it counted.
func (v *Voice) Watch(bucket storage.Bucket) storage.Bucket { return v.pulse.Watch(bucket) }

// Waiting says what the mover waits for before it can begin: for somebody else's lock.
func (v *Voice) Waiting(reason string) {
	line, err := EncodeWaiting(reason)
	if err != nil {
		return
	}
	v.pulse.Blocked()
	v.say(line)
}

// Begin makes the mover report how far it is, even while nothing of the volume gets done, until end is called.
func (v *Voice) Begin(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { v.beat(ctx) })
	return func() {
		cancel()
		beating.Wait()
	}
}

// beat says how far the mover is if the Voice has been silent for a while and there is something new to say.
func (v *Voice) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	var last []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		line, err := v.pulse.Beat()
		if err == nil && v.silent() && !bytes.Equal(line, last) {
			v.say(line)
			last = line
		}
	}
}

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
	// beatEvery is how long a mover says nothing, unless there is nothing new to say.
	beatEvery = 5 * time.Second
	// progressEvery is how often it says how much of the volume is done.
	progressEvery = time.Second
)

// Voice is how a mover says how far it is: it writes the mover's log, and counts for it what the mover gets done. It is an
// archive.Reporter.
type Voice struct {
	out   io.Writer
	now   func() time.Time
	pulse Pulse
	every *archive.Every

	mu   sync.Mutex
	said time.Time
}

// NewVoice makes a mover's voice, which writes to out.
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
	fmt.Fprintf(v.out, "%s\n", line) // whoever does not read it any more does not need it
}

// silent reports whether nothing has been said for a while.
func (v *Voice) silent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now().Sub(v.said) >= beatEvery
}

// Report implements archive.Reporter: it counts, and says from time to time how much of the volume is done.
func (v *Voice) Report(p archive.Progress) {
	v.pulse.Step()
	v.every.Report(p)
}

// Step counts one thing that was done.
func (v *Voice) Step() { v.pulse.Step() }

// Watch is the bucket, all use of which is counted.
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

// Begin has the mover say how far it is, also while nothing of the volume is done. It goes on until end is called.
func (v *Voice) Begin(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { v.beat(ctx) })
	return func() {
		cancel()
		beating.Wait()
	}
}

// beat says how far the mover is when nothing else was said for a while, and there is something new to say.
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

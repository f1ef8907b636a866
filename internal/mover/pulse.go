package mover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Pulse counts what a mover gets done, and knows what the mover is doing. So the engine can tell a stalled
// mover from a slow one, or from one that does not touch the volume for a long time. Only finished work counts:
// the passing of time does not, and nothing that a mover does to keep its lock. The zero value is ready to use.
type Pulse struct {
	steps   atomic.Int64
	blocked atomic.Bool

	mu     sync.Mutex
	under  map[int64]string // requests to the bucket that are under way, by their start
	serial int64
}

// Step counts one thing that was done.
func (p *Pulse) Step() { p.steps.Add(1) }

// Blocked says that somebody else's lock blocks the mover: until the mover gets something else done, looking
// for locks is all that it can do.
func (p *Pulse) Blocked() { p.blocked.Store(true) }

// beat is a line in which a mover says how far it is and what it is doing.
type beat struct {
	Steps int64  `json:"steps"`
	Doing string `json:"doing"`
}

// Beat returns such a line.
func (p *Pulse) Beat() ([]byte, error) {
	return json.Marshal(beat{p.steps.Load(), cmp.Or(p.oldest(), "no request to the bucket is under way")})
}

// Progress returns a line that says how much of the volume is done.
func (p *Pulse) Progress(done archive.Progress) ([]byte, error) {
	return json.Marshal(struct {
		archive.Progress
		Steps int64 `json:"steps"`
	}{done, p.steps.Load()})
}

// Sign reads from a line of a mover's log how far the mover is. Lines of movers that do not count what they get done say nothing.
func Sign(line []byte) cluster.Sign {
	var said struct {
		beat
		archive.Progress
		Steps   *int64 `json:"steps"`
		Files   *int64 `json:"files"`
		Waiting string `json:"waiting"`
	}
	if json.Unmarshal(line, &said) != nil {
		return cluster.Sign{}
	}
	sign := cluster.Sign{Doing: cmp.Or(said.Doing, said.Waiting)}
	if said.Files != nil && sign.Doing == "" {
		sign.Doing = fmt.Sprintf("%d files and %d bytes are done", *said.Files, said.Bytes)
	}
	if said.Steps != nil {
		sign.Mark = strconv.FormatInt(*said.Steps, 10)
	}
	return sign
}

// begin records that a request is under way, until done is called.
func (p *Pulse) begin(verb, name string) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.under == nil {
		p.under = map[int64]string{}
	}
	p.serial++
	serial := p.serial
	p.under[serial] = verb + " " + name
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.under, serial)
	}
}

// oldest is the request that has been under way for longest; "" if there is none.
func (p *Pulse) oldest() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int64
	for serial := range p.under {
		all = append(all, serial)
	}
	if len(all) == 0 {
		return ""
	}
	return p.under[slices.Min(all)]
}

// answered counts an answer of the bucket about an object. "No such object" is an answer, too.
func (p *Pulse) answered(name string, err error) {
	if err != nil && !errors.Is(err, storage.ErrNotExist) {
		return
	}
	if lock := isLock(name); !lock {
		p.blocked.Store(false)
	} else if !p.blocked.Load() {
		return
	}
	p.Step()
}

// isLock reports whether a name is a lock's, or the prefix of all locks: a stalled mover still renews its own lock.
func isLock(name string) bool {
	name, prefix := strings.CutSuffix(name, "/")
	return prefix && path.Base(name) == "locks" || !prefix && path.Base(path.Dir(name)) == "locks"
}

// Watch returns the bucket, with all use of it counted.
func (p *Pulse) Watch(bucket storage.Bucket) storage.Bucket { return &watched{bucket, p} }

// watched is a bucket whose use is counted. It sits below the limits on that use, because requests that wait there make no progress.
type watched struct {
	bucket storage.Bucket
	pulse  *Pulse
}

// Get implements storage.Bucket.
func (w *watched) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	done := w.pulse.begin("get", name)
	body, err := w.bucket.Get(ctx, name, offset, length)
	w.pulse.answered(name, err)
	if err != nil {
		done()
		return nil, err
	}
	return &watchedReader{ReadCloser: body, name: name, pulse: w.pulse, done: done}, nil
}

type watchedReader struct {
	io.ReadCloser
	name  string
	pulse *Pulse
	done  func()
}

// Read implements io.Reader.
func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.pulse.answered(r.name, nil)
	}
	return n, err
}

// Close implements io.Closer.
func (r *watchedReader) Close() error {
	r.done()
	return r.ReadCloser.Close()
}

// Put implements storage.Bucket.
func (w *watched) Put(ctx context.Context, name string, data []byte) error {
	return w.PutPaced(ctx, name, data, nil)
}

// PutPaced implements storage.PacedPutter. If there is a pace to keep, each part counts when it is sent, but
// not when it has to be sent again.
func (w *watched) PutPaced(ctx context.Context, name string, data []byte, pace storage.Pace) error {
	defer w.pulse.begin("put", name)()
	counted := pace
	if pace != nil {
		sent := 0
		counted = func(ctx context.Context, n int) error {
			if err := pace(ctx, n); err != nil {
				return err
			}
			if sent += n; sent <= len(data) {
				w.pulse.answered(name, nil)
			}
			return nil
		}
	}
	err := storage.PutPaced(ctx, w.bucket, name, data, counted)
	w.pulse.answered(name, err)
	return err
}

// Stat implements storage.Bucket.
func (w *watched) Stat(ctx context.Context, name string) (storage.Info, error) {
	defer w.pulse.begin("stat", name)()
	info, err := w.bucket.Stat(ctx, name)
	w.pulse.answered(name, err)
	return info, err
}

// List implements storage.Bucket.
func (w *watched) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	defer w.pulse.begin("list", prefix)()
	err := w.bucket.List(ctx, prefix, func(info storage.Info) error {
		w.pulse.answered(info.Name, nil)
		return fn(info)
	})
	w.pulse.answered(prefix, err)
	return err
}

// Folders implements storage.FolderLister.
func (w *watched) Folders(ctx context.Context, prefix string) ([]string, error) {
	defer w.pulse.begin("list", prefix)()
	folders, err := storage.Folders(ctx, w.bucket, prefix)
	w.pulse.answered(prefix, err)
	return folders, err
}

// Delete implements storage.Bucket.
func (w *watched) Delete(ctx context.Context, name string) error {
	defer w.pulse.begin("delete", name)()
	err := w.bucket.Delete(ctx, name)
	w.pulse.answered(name, err)
	return err
}

// String implements storage.Bucket.
func (w *watched) String() string { return w.bucket.String() }

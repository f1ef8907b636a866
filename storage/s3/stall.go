package s3

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// pacedPart is how much is sent at once if there is a pace to keep.
const pacedPart = 16 << 10

// errStalled is why an attempt with a stream that stands still is given up.
var errStalled = errors.New("the stream stands still")

// watchdog ends an attempt's context when nobody has fed it for too long. Feeding and stopping it are cheap enough for
// every Read.
type watchdog struct {
	ctx    context.Context // the context that it ends
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// watch starts a watchdog over a new context, which it ends with errStalled. The caller must call release in the end.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{ctx, limit, time.AfterFunc(limit, func() { cancel(errStalled) }), cancel}
}

func (w *watchdog) feed() { w.timer.Reset(w.limit) }

// await gives the server's whole answer its own time: the transport limits only the wait for its first byte.
func (w *watchdog) await(limit time.Duration) { w.timer.Reset(limit) }

func (w *watchdog) pause() { w.timer.Stop() }

func (w *watchdog) release() {
	w.timer.Stop()
	w.cancel(nil)
}

// upload reads the caller's data for one request. The HTTP transport may go on reading after the request has failed;
// revoke keeps it from touching data that belongs to the caller again.
type upload struct {
	ctx  context.Context // the attempt's
	dog  *watchdog
	pace storage.Pace // nil: no limit
	// answer is how long to wait for the server's whole answer, once everything has been sent.
	answer time.Duration

	mu   sync.Mutex
	data []byte // the rest; nil once revoked
	err  error
}

func (u *upload) Read(p []byte) (int, error) {
	if u.pace != nil {
		p = p[:min(len(p), pacedPart, u.left())]
		u.dog.pause() // while we wait for the pace, the line does not stand still
		if err := u.pace(u.ctx, len(p)); err != nil {
			return 0, err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return 0, u.err
	}
	if len(u.data) == 0 {
		u.dog.await(u.answer)
		return 0, io.EOF
	}
	u.dog.feed()
	n := copy(p, u.data)
	u.data = u.data[n:]
	if len(u.data) == 0 {
		u.dog.await(u.answer)
	}
	return n, nil
}

// left is how much there is still to send. The pace must not hold up revoke, so left holds the lock only briefly.
func (u *upload) left() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.data)
}

func (u *upload) revoke() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.data, u.err = nil, errors.New("the request is over")
}

package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

var _ storage.PacedPutter = (*Bucket)(nil)

// TestRetriesArePaced: data that is sent again asks the pace again, and is the same from its first byte on.
func TestRetriesArePaced(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	b := newBroken(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, data) {
			t.Errorf("request %d brings %d bytes, %v", n, len(got), err)
		}
		if n < 3 {
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
		}
	})
	var asked atomic.Int64
	err := b.PutPaced(t.Context(), "object", data, func(_ context.Context, n int) error {
		asked.Add(int64(n))
		return nil
	})
	if err != nil || asked.Load() != int64(3*len(data)) {
		t.Errorf("%d bytes were asked for to send %d three times; %v", asked.Load(), len(data), err)
	}
}

// TestPaceIsNoStall: a stream that only waits for its turn is not given up.
func TestPaceIsNoStall(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(_ int, _ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	b.stall = 100 * time.Millisecond
	turn := time.NewTimer(3 * b.stall)
	defer turn.Stop()
	first := true
	err := b.PutPaced(t.Context(), "object", make([]byte, 1<<20), func(context.Context, int) error {
		if first {
			<-turn.C
		}
		first = false
		return nil
	})
	if n := b.requests.Load(); err != nil || n != 1 {
		t.Errorf("%d requests, %v", n, err)
	}
}

func TestPaceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	b := newBroken(t, func(_ int, _ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := b.PutPaced(ctx, "object", []byte("data"), func(ctx context.Context, _ int) error {
		cancel(cause)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "object") {
		t.Errorf("%v; want the context's cause, and which object it was", err)
	}
}

package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

func TestPutSendsTheSumThatItIsTold(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("what the caller knows"))
	b := newBroken(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Content-Sha256"); got != hex.EncodeToString(sum[:]) {
			t.Errorf("SHA-256 %q", got)
		}
	})
	if err := b.Put(storage.WithSum(t.Context(), sum), "object", []byte("data")); err != nil {
		t.Error(err)
	}
}

// TestPutOfAnotherSum changes the data after its sum was computed: the server does not accept the data.
func TestPutOfAnotherSum(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *server{"versitygw": startVersitygw, "MinIO": startMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t).newBucket(t)
			b.wait = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
			data := []byte("some data to be changed")
			ctx := storage.WithSum(t.Context(), sha256.Sum256(data))
			data[3] ^= 1
			if err := b.Put(ctx, "object", data); err == nil {
				t.Error("data with another sum was stored")
			}
			if _, err := b.Stat(t.Context(), "object"); !errors.Is(err, storage.ErrNotExist) {
				t.Errorf("stat: %v, want %v", err, storage.ErrNotExist)
			}
			data[3] ^= 1
			if err := b.Put(ctx, "object", data); err != nil {
				t.Error(err)
			}
		})
	}
}

package local

import (
	"context"
	"errors"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
)

var _ storage.PacedPutter = (*Bucket)(nil)

func TestPutsArePaced(t *testing.T) {
	bucket := open(t, Config{Dir: t.TempDir()})
	data := make([]byte, 3*writeSize+1)
	asked := 0
	err := bucket.PutPaced(t.Context(), "object", data, func(_ context.Context, n int) error {
		asked += n
		return nil
	})
	if info, statErr := bucket.Stat(t.Context(), "object"); err != nil || statErr != nil || asked != len(data) ||
		info.Size != int64(len(data)) {
		t.Errorf("asked for %d of %d bytes, stored %d; %v, %v", asked, len(data), info.Size, err, statErr)
	}
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	err = bucket.PutPaced(ctx, "other", data, func(ctx context.Context, _ int) error {
		cancel(cause)
		return context.Cause(ctx)
	})
	if _, statErr := bucket.Stat(t.Context(), "other"); !errors.Is(err, cause) || !errors.Is(statErr, storage.ErrNotExist) {
		t.Errorf("a Put whose context ended while it waited: %v; the object: %v", err, statErr)
	}
}

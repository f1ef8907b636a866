package operations

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestTranslate(t *testing.T) {
	for want, err := range map[error]error{
		scheduler.ErrBusy:     &cluster.Refusal{Object: "o", Reason: "r", Next: "n", Err: cluster.ErrBusy},
		scheduler.ErrRefused:  &cluster.Refusal{Object: "o", Reason: "r", Next: "n"},
		scheduler.ErrBucket:   fmt.Errorf("list: %w", storage.ErrUnreachable),
		scheduler.ErrPassword: fmt.Errorf("open: %w", repository.ErrWrongPassword),
		scheduler.ErrGone:     errors.Join(errors.New("read"), cluster.ErrNotFound),
	} {
		if got := translate(err); !errors.Is(got, want) || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	for _, err := range []error{nil, repository.ErrWrongPassword} {
		if got := translate(err); !errors.Is(got, err) || errors.Is(got, scheduler.ErrBusy) || errors.Is(got, scheduler.ErrBucket) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

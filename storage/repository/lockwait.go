package repository

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// LockWait says what to do when somebody holds a conflicting lock. The zero value is to give up.
type LockWait struct {
	// Limit is how long to wait until nobody holds a conflicting lock any more. After that comes ErrLocked.
	Limit time.Duration
	// Blocked, if set, is called when a conflicting lock is found, and again when another one is; err wraps ErrLocked
	// and names the holder. True says that the lock may be gone now, so that it is worth looking again at once.
	Blocked func(ctx context.Context, err error) bool
}

// SetLockWait says what Lock, LockExclusive, and everything that takes these locks, do when somebody holds a
// conflicting lock. Call it before the repository is used.
func (r *Repository) SetLockWait(w LockWait) { r.options.lockWait = w }

// patiently calls try until it no longer fails with ErrLocked, or for as long as LockWait allows.
func (r *Repository) patiently(ctx context.Context, try func() error) error {
	w, timing := r.options.lockWait, r.options.timing
	begun, pause, told := r.options.Now(), timing.poll, ""
	for {
		err := try()
		if !errors.Is(err, ErrLocked) || ctx.Err() != nil {
			return err
		}
		if text := err.Error(); text != told && w.Blocked != nil {
			if told = text; w.Blocked(ctx, err) {
				continue
			}
		}
		left := w.Limit - r.options.Now().Sub(begun)
		if left <= 0 {
			if w.Limit > 0 {
				err = fmt.Errorf("%w (waited %s)", err, w.Limit)
			}
			return err
		}
		// If two wait for each other's locks to go, chance lets one come first.
		jittered := pause/2 + rand.N(pause)
		if waitErr := wait.For(ctx, min(left, jittered)); waitErr != nil {
			return fmt.Errorf("%w: %w", err, waitErr)
		}
		pause = min(2*pause, timing.pollMax)
	}
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// confirmEvery is how long a process that removes many objects relies on its last check of the lock.
const confirmEvery = time.Second

// lockKey finds the Lock in its Context.
type lockKey struct{}

// confirm is Confirm of the lock whose Context ctx comes from. Without such a lock, it asks nobody.
func confirm(ctx context.Context) error {
	if lock, held := ctx.Value(lockKey{}).(*Lock); held {
		return lock.Confirm()
	}
	return context.Cause(ctx)
}

// confirmEnded is confirm for a caller whose lock's context may have ended for another reason than the loss of the
// lock. It asks the bucket with another context, ctx.
func confirmEnded(ctx, ended context.Context) error {
	lock, held := ended.Value(lockKey{}).(*Lock)
	if !held {
		return nil
	}
	if cause := context.Cause(lock.ctx); errors.Is(cause, ErrLockLost) || errors.Is(cause, ErrLocked) {
		return cause
	}
	if !lock.hasLooked() {
		return ErrLocked // somebody may hold an exclusive lock
	}
	return lock.there(ctx)
}

// unlocked returns a context in which confirm asks nobody.
func unlocked(ctx context.Context) context.Context { return context.WithValue(ctx, lockKey{}, nil) }

func (l *Lock) hasLooked() bool {
	l.looking.Lock()
	defer l.looking.Unlock()
	return l.looked
}

// saveIndex writes an index object while the lock of ctx is held. Without the lock, others may have removed the packs,
// which no index has named so far, and whoever finds them in the index would rely on them.
func (r *Repository) saveIndex(ctx context.Context, object packfile.IndexObject) (size int, err error) {
	if err := confirm(ctx); err != nil {
		return 0, err
	}
	_, size, err = r.saveObject(ctx, kindIndex, object)
	return size, err
}

// remove removes objects while the lock of ctx is held. Without the lock, others may have taken us for dead, and begun
// to rely on what we are removing.
func (r *Repository) remove(ctx context.Context, k kind, ids []ID) error {
	var confirmed time.Time
	for i, id := range ids {
		if i == 0 || r.since(confirmed) > confirmEvery {
			confirmed = r.options.Now()
			if err := confirm(ctx); err != nil {
				return fmt.Errorf("remove %s: %w", k.name(id), err)
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("remove %s: %w", k.name(id), context.Cause(ctx))
		}
		if err := r.bucket.Delete(ctx, k.name(id)); err != nil {
			return fmt.Errorf("remove %s: %w", k.name(id), err)
		}
	}
	return nil
}

// lookAgain takes the second look, unless that is done, and ends Context if somebody is in the way.
func (l *Lock) lookAgain() error {
	l.looking.Lock()
	defer l.looking.Unlock()
	if l.looked {
		return context.Cause(l.ctx)
	}
	id, _ := l.current()
	if _, err := l.repo.checkLocks(l.ctx, l.exclusive, id); err != nil {
		l.cancel(err)
		return context.Cause(l.ctx)
	}
	l.looked = true
	return nil
}

// Confirm asks the bucket whether the lock is still there, and ends Context with ErrLockLost if it is not: whoever
// removed the lock may be deleting what we rely on. Call Confirm just before writing anything that much relies on, and
// before removing anything: the lock's own renewal notices the loss only within minutes.
func (l *Lock) Confirm() error {
	if err := l.lookAgain(); err != nil {
		return err
	}
	err := l.there(l.ctx)
	if errors.Is(err, ErrLockLost) {
		l.cancel(err)
		return context.Cause(l.ctx)
	}
	return err
}

// there asks the bucket whether the lock is still there. It returns ErrLockLost if the lock is gone.
func (l *Lock) there(ctx context.Context) error {
	for {
		id, renewed := l.current()
		name := kindLock.name(id)
		if l.outlived(renewed) {
			return fmt.Errorf("%w: %s was not renewed since %s", ErrLockLost, name, renewed.Format(time.RFC3339))
		}
		_, err := l.repo.bucket.Stat(ctx, name)
		if err == nil {
			return nil
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", name, err)
		}
		if now, _ := l.current(); now == id { // the lock was not just renewed
			return fmt.Errorf("%w: %w", ErrLockLost, err)
		}
	}
}

// lose ends the lock's context, and says why.
func (l *Lock) lose(err error) error {
	l.cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
	return context.Cause(l.ctx)
}

// outlived says that a lock is so old that others may take its holder for dead, or will do so before we could renew it.
func (l *Lock) outlived(renewed time.Time) bool {
	timing := l.repo.options.timing
	return l.repo.since(renewed) > timing.stale-timing.margin()
}

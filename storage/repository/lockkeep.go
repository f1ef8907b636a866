package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
)

// hold has the lock renew itself from now on, and watches whether it does.
func (l *Lock) hold(ctx context.Context) *Lock {
	l.ctx, l.cancel = context.WithCancelCause(context.WithValue(ctx, lockKey{}, l))
	l.done.Go(l.watch)
	l.done.Go(l.keep)
	return l
}

// watch ends the lock's context when the lock was not renewed for too long, and with that whatever is under way in it, be
// it a renewal that hangs or the writing of something that relies on the lock. It looks at the clock often, since no timer
// goes on while the machine sleeps.
func (l *Lock) watch() {
	for wait.For(l.ctx, l.repo.options.timing.retry) == nil {
		if _, renewed := l.current(); l.outlived(renewed) {
			_ = l.lose(cmp.Or(l.lastFailure(), errors.New("it was not renewed in time"))) // told by the context
			return
		}
	}
}

// keep renews the lock until its context ends.
func (l *Lock) keep() {
	timing := l.repo.options.timing
	if wait.For(l.ctx, timing.settle) != nil || l.lookAgain() != nil {
		return
	}
	for wait.For(l.ctx, timing.retry) == nil {
		if _, renewed := l.current(); l.repo.since(renewed) < timing.refresh {
			continue
		}
		lost, err := l.renew()
		if lost {
			_ = l.lose(err) // told by the context
			return
		}
		l.noteFailure(err)
	}
}

// renew writes a new lock and removes the old one. It reports as lost a lock that is no longer there: whoever
// removed it may be deleting data by now.
func (l *Lock) renew() (lost bool, err error) {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	return l.replace(l.exclusive)
}

// share makes an exclusive lock one that others may work beside. At no moment is there none. Only the goroutine that
// uses the lock may call it.
func (l *Lock) share() error {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	was := l.exclusive
	l.exclusive, l.operation = false, l.repo.options.Operation
	if lost, err := l.replace(was); lost {
		return l.lose(err)
	} else if err != nil {
		return fmt.Errorf("let others work on the repository again: %w", err)
	}
	return nil
}

// replace looks for the old lock once more when the new one is there. Whoever takes a lock for dead removes it before
// looking for the last time, so one who has removed ours just now has not seen the new one for certain. was says whether
// the old one is exclusive.
func (l *Lock) replace(was bool) (lost bool, err error) {
	old, _ := l.current()
	if lost, err := l.missing(old); err != nil {
		return lost, err
	}
	begun := l.repo.options.Now()
	id, err := l.repo.writeLock(l.ctx, l.exclusive, l.operation)
	if err != nil {
		return false, err
	}
	if lost, err := l.missing(old); err != nil {
		return lost, errors.Join(err, l.repo.dropLock(l.ctx, id, l.exclusive))
	}
	l.set(id, begun)
	_ = l.repo.dropLock(l.ctx, old, was) // the new one counts; Release tries again, and says so
	return false, nil
}

// missing reports a lock object that is not there.
func (l *Lock) missing(id ID) (lost bool, err error) {
	name := kindLock.name(id)
	if _, err := l.repo.bucket.Stat(l.ctx, name); err != nil {
		return errors.Is(err, storage.ErrNotExist), fmt.Errorf("look for %s: %w", name, err)
	}
	return false, nil
}

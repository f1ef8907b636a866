package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
)

// hold makes the lock renew itself from now on, and watches that it does.
func (l *Lock) hold(ctx context.Context) *Lock {
	l.ctx, l.cancel = context.WithCancelCause(context.WithValue(ctx, lockKey{}, l))
	l.done.Go(l.watch)
	l.done.Go(l.keep)
	return l
}

// watch ends the lock's context when the lock was not renewed for too long. That ends all work under the lock, be it a
// renewal that hangs or the writing of something that relies on the lock. watch looks at the clock often, because no
// timer runs while the machine sleeps.
func (l *Lock) watch() {
	for wait.For(l.ctx, l.repo.options.timing.retry) == nil {
		if _, renewed := l.current(); l.outlived(renewed) {
			_ = l.lose(cmp.Or(l.lastFailure(), errors.New("it was not renewed in time"))) // the context tells
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
			_ = l.lose(err) // the context tells
			return
		}
		l.noteFailure(err)
	}
}

// renew writes a new lock and removes the old one. If the old lock is no longer there, it reports the lock as lost:
// whoever removed it may be deleting data by now.
func (l *Lock) renew() (lost bool, err error) {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	return l.replace(l.exclusive)
}

// share turns an exclusive lock into one that others may work beside. There is a lock at every moment. Only the
// goroutine that uses the lock may call it.
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

// replace looks for the old lock once more when the new one is there. Whoever takes us for dead removes our lock before
// looking for the last time. So if the old lock was removed just now, we cannot know that its remover has seen the new
// one. was says whether the old lock is exclusive.
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
	_ = l.repo.dropLock(l.ctx, old, was) // the new lock counts; Release tries again, and reports it
	return false, nil
}

// missing reports whether a lock object is gone.
func (l *Lock) missing(id ID) (lost bool, err error) {
	name := kindLock.name(id)
	if _, err := l.repo.bucket.Stat(l.ctx, name); err != nil {
		return errors.Is(err, storage.ErrNotExist), fmt.Errorf("look for %s: %w", name, err)
	}
	return false, nil
}

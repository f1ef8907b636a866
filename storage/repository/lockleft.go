package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// leftLocks are locks of ours that we have given up and could not remove: nobody holds them. They do not block us, and
// are removed on the way when that is possible again. They block others until they go stale.
type leftLocks struct {
	mu    sync.Mutex
	locks map[ID]leftLock
}

// leftLock describes one of them.
type leftLock struct {
	exclusive bool
	stale     time.Time // when it no longer counts
}

func (l *leftLocks) add(id ID, lock leftLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[ID]leftLock{}
	}
	l.locks[id] = lock
}

func (l *leftLocks) remove(id ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.locks, id)
}

func (l *leftLocks) has(id ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, has := l.locks[id]
	return has
}

func (l *leftLocks) all() map[ID]leftLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.locks)
}

// SetLockLeft says whom to tell that work is done, but that its lock could not be removed. The error says what that
// means, and what to do. Call it before the repository is used; otherwise nobody is told.
func (r *Repository) SetLockLeft(tell func(error)) { r.options.lockLeft = tell }

// End is Release after work that ended with err, and returns the error that the work ends with. Finished work stays
// finished if the lock cannot be removed afterwards: End tells that as SetLockLeft says, and does not fail.
func (l *Lock) End(ctx context.Context, err error) error {
	left := l.Release(ctx)
	switch {
	case left == nil:
		return err
	case err != nil:
		return errors.Join(err, left)
	case l.repo.options.lockLeft != nil:
		l.repo.options.lockLeft(left)
	}
	return nil
}

// dropLock removes one of our own locks, and remembers it if that fails.
func (r *Repository) dropLock(ctx context.Context, id ID, exclusive bool) error {
	r.left.add(id, leftLock{exclusive: exclusive, stale: r.options.Now().Add(r.options.timing.stale)})
	err := r.removeLock(ctx, id)
	if err == nil {
		r.left.remove(id)
	}
	return err
}

// dropLeft removes locks that could not be removed before. The error says which lock stays, until when, and what can be
// done about it.
func (r *Repository) dropLeft(ctx context.Context) error {
	var failures []error
	left := r.left.all()
	for _, id := range slices.SortedFunc(maps.Keys(left), format.Compare) {
		err := r.removeLock(ctx, id)
		if err == nil {
			r.left.remove(id)
			continue
		}
		keepsFrom := "removing data from"
		if left[id].exclusive {
			keepsFrom = "working on"
		}
		next := "remove it before with: stsbackup unlock"
		if errors.Is(err, storage.ErrPermission) {
			next = "these credentials may not remove it, and need not: after that time, the next prune with credentials that may does"
		}
		failures = append(
			failures,
			fmt.Errorf("the lock that is no longer needed stays, and keeps everyone else from %s the repository until %s: %w; %s",
				keepsFrom, left[id].stale.UTC().Format(time.RFC3339), err, next),
		)
	}
	return errors.Join(failures...)
}

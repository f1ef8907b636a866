package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// operationMark stands between host and operation in the host name of a lock. No host name holds it.
const operationMark = "/"

// lockTiming are the intervals of locks and of initialisation. Tests shorten them.
type lockTiming struct {
	settle  time.Duration // between writing a lock and looking whether someone else did the same
	refresh time.Duration // how often a lock is renewed
	retry   time.Duration // after a renewal that failed
	stale   time.Duration // age at which a lock's holder is taken for dead
	cleanup time.Duration // how long cleaning up may take after the context has ended

	initWait   time.Duration // Init: between two looks at a competitor
	initRounds int           // Init: looks until a competitor is taken for dead
}

func defaultLockTiming() lockTiming {
	return lockTiming{
		settle: 200 * time.Millisecond, refresh: 5 * time.Minute, retry: 10 * time.Second, stale: 30 * time.Minute,
		cleanup: 15 * time.Second, initWait: 250 * time.Millisecond, initRounds: 40,
	}
}

// margin is how long before a lock goes stale its holder gives up if it cannot renew it: others would be right to
// ignore the lock at any time after, and their clocks may differ.
func (t lockTiming) margin() time.Duration { return t.stale / 4 }

// lockObject is the JSON of a lock.
type lockObject struct {
	Time      time.Time `json:"time"`
	Exclusive bool      `json:"exclusive"`
	Hostname  string    `json:"hostname"`
	Username  string    `json:"username"`
	PID       int       `json:"pid"`
	UID       uint32    `json:"uid,omitempty"`
	GID       uint32    `json:"gid,omitempty"`
}

// stale reports whether the lock's holder must be dead: too old, or a process of this host that is gone.
func (l lockObject) stale(now time.Time, hostname string, after time.Duration, alive func(pid int) bool) bool {
	if now.Sub(l.Time) > after {
		return true
	}
	host, _, _ := strings.Cut(l.Hostname, operationMark)
	return hostname != "" && host == hostname && l.PID > 0 && !alive(l.PID)
}

// processAlive reports whether there is a process of this id; one that belongs to someone else is alive.
func processAlive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// Lock is a claim on a repository: several writers may hold one each, and nobody may remove data while any does;
// whoever removes data holds an exclusive one, and nobody else any. It renews itself until Release.
type Lock struct {
	repo      *Repository
	exclusive bool
	ctx       context.Context
	cancel    context.CancelCauseFunc
	done      sync.WaitGroup
	id        ID // of the lock object; owned by the renewing goroutine until done
}

// Lock takes a writer's lock. ErrLocked, with the holder's name, if someone holds an exclusive one. Locks of dead
// holders are removed on the way.
func (r *Repository) Lock(ctx context.Context) (*Lock, error) { return r.lock(ctx, false) }

// LockExclusive takes the lock of one who removes data. ErrLocked, with the holder's name, if anyone else holds a lock
// of any kind. Locks of dead holders are removed on the way.
func (r *Repository) LockExclusive(ctx context.Context) (*Lock, error) { return r.lock(ctx, true) }

func (r *Repository) lock(ctx context.Context, exclusive bool) (*Lock, error) {
	// 1. Look, so that one who has to wait disturbs nobody.
	if err := r.checkLocks(ctx, exclusive, ID{}); err != nil {
		return nil, err
	}
	// 2. Write our own.
	id, err := r.writeLock(ctx, exclusive)
	if err != nil {
		return nil, err
	}
	// 3. Look again: someone who looked before our lock was there may have written one since. Of two who do this at
	// once, each sees the other's, and at least one gives way.
	err = wait(ctx, r.options.timing.settle)
	if err == nil {
		err = r.checkLocks(ctx, exclusive, id)
	}
	if err != nil {
		return nil, errors.Join(err, r.removeLock(ctx, id))
	}
	lock := &Lock{repo: r, exclusive: exclusive, id: id}
	lock.ctx, lock.cancel = context.WithCancelCause(ctx)
	lock.done.Go(lock.keep)
	return lock, nil
}

// Context ends when the lock is lost, with ErrLockLost as its cause, or with the context that Lock was given.
func (l *Lock) Context() context.Context { return l.ctx }

// Release removes the lock, even if ctx has ended already.
func (l *Lock) Release(ctx context.Context) error {
	l.cancel(context.Canceled)
	l.done.Wait()
	return l.repo.removeLock(ctx, l.id)
}

func (r *Repository) writeLock(ctx context.Context, exclusive bool) (ID, error) {
	id, _, err := r.saveObject(ctx, kindLock, lockObject{
		Time: r.options.Now(), Exclusive: exclusive, Hostname: r.options.lockHost(), Username: r.options.Username, PID: r.options.PID,
	})
	return id, err
}

func (r *Repository) removeLock(ctx context.Context, id ID) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.timing.cleanup)
	defer cancel()
	if err := r.bucket.Delete(bounded, kindLock.name(id)); err != nil {
		return fmt.Errorf("remove %s: %w", kindLock.name(id), err)
	}
	return nil
}

// checkLocks fails if a lock is held that ours would conflict with, and removes what dead holders have left. own is the
// lock that we have written ourselves.
func (r *Repository) checkLocks(ctx context.Context, exclusive bool, own ID) error {
	return r.eachLock(ctx, func(holder Holder, err error) error {
		switch {
		case holder.id == own:
			return nil
		case err != nil:
			return fmt.Errorf("%w, it is not known by whom: %w; if nothing is at work on it, remove the lock with: stsbackup unlock", ErrLocked, err)
		case holder.Dead:
			return r.removeLock(ctx, holder.id)
		case holder.Exclusive:
			return fmt.Errorf("%w exclusively by %s; wait for it to end", ErrLocked, holder)
		case exclusive:
			return fmt.Errorf("%w by %s; wait for it to end", ErrLocked, holder)
		}
		return nil
	})
}

// keep renews the lock until its context ends, and ends the context if that fails for too long.
func (l *Lock) keep() {
	timing := l.repo.options.timing
	renewed, pause := l.repo.options.Now(), timing.refresh
	for wait(l.ctx, pause) == nil {
		lost, err := l.renew()
		now := l.repo.options.Now()
		switch {
		case err == nil:
			renewed, pause = now, timing.refresh
		case lost || now.Sub(renewed) > timing.stale-timing.margin():
			l.cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
			return
		default:
			pause = timing.retry
		}
	}
}

// renew writes a new lock and removes the old one. It reports as lost a lock that is no longer there: whoever
// removed it may be deleting data by now.
func (l *Lock) renew() (lost bool, err error) {
	name := kindLock.name(l.id)
	if _, err := l.repo.bucket.Stat(l.ctx, name); err != nil {
		return errors.Is(err, storage.ErrNotExist), fmt.Errorf("look for %s: %w", name, err)
	}
	id, err := l.repo.writeLock(l.ctx, l.exclusive)
	if err != nil {
		return false, err
	}
	old := l.id
	l.id = id
	return false, l.repo.removeLock(l.ctx, old)
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
)

// operationMark stands between host and operation in the host name of a lock. No host name holds it.
const operationMark = "/"

// lockTiming are the intervals of locks and of initialisation. Tests shorten them.
type lockTiming struct {
	settle  time.Duration // between writing a lock and looking whether someone else did the same
	refresh time.Duration // how often a lock is renewed
	retry   time.Duration // after a renewal that failed, and between two looks at the clock
	stale   time.Duration // age at which a lock's holder is taken for dead
	cleanup time.Duration // how long cleaning up may take after the context has ended

	poll    time.Duration // between two looks at somebody else's lock, at first
	pollMax time.Duration // and in the end

	initWait   time.Duration // Init: between two looks at a competitor
	initRounds int           // Init: looks until a competitor is taken for dead
}

func defaultLockTiming() lockTiming {
	return lockTiming{
		settle: 200 * time.Millisecond, refresh: 5 * time.Minute, retry: 10 * time.Second, stale: 30 * time.Minute,
		cleanup: 15 * time.Second, poll: 500 * time.Millisecond, pollMax: 10 * time.Second, initWait: 250 * time.Millisecond, initRounds: 40,
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
	operation string // what it says that its holder is doing
	ctx       context.Context
	cancel    context.CancelCauseFunc
	done      sync.WaitGroup

	looking sync.Mutex // held during the second look
	looked  bool       // it has been taken, or is not needed

	renewing sync.Mutex // held while the lock object is replaced

	mu      sync.Mutex
	id      ID        // of the lock object
	renewed time.Time // when that was written, by both of our clocks
	failure error     // of the last renewal
}

// Lock takes a writer's lock. ErrLocked, with the holder's name, if someone holds an exclusive one for longer than
// SetLockWait allows. Locks of dead holders are removed on the way.
func (r *Repository) Lock(ctx context.Context) (*Lock, error) {
	return r.lockPatiently(ctx, lockKind{operation: r.options.Operation})
}

// BeginLock is Lock for whoever calls Confirm before anything is written that relies on much. It does not wait where it
// need not; that someone else holds an exclusive lock may then only show a moment later, as ErrLocked from Confirm and as
// the cause with which Context ends.
func (r *Repository) BeginLock(ctx context.Context) (*Lock, error) {
	return r.lockPatiently(ctx, lockKind{operation: r.options.Operation, early: true})
}

// LockExclusive takes the lock of one who removes data. ErrLocked, with the holder's name, if anyone else holds a lock
// of any kind for longer than SetLockWait allows. Locks of dead holders are removed on the way.
func (r *Repository) LockExclusive(ctx context.Context) (*Lock, error) {
	lock, err := r.lockPatiently(ctx, lockKind{operation: r.options.Operation, exclusive: true})
	return lock, needsRoom(err)
}

// lockKind says what lock is wanted.
type lockKind struct {
	exclusive bool
	early     bool   // the second look is taken beside the work, if it may
	operation string // what it says that its holder is doing
}

func (r *Repository) lockPatiently(ctx context.Context, kind lockKind) (lock *Lock, err error) {
	// Whoever removes data does not believe a listing: neither of the locks of others, nor of anything else.
	ctx = storage.WithDoubt(ctx, kind.exclusive || storage.InDoubt(ctx))
	err = r.patiently(ctx, func() (err error) {
		lock, err = r.lock(ctx, kind)
		return err
	})
	return lock, err
}

// LockReading keeps others from removing data while a volume is restored, which may take hours: it takes a writer's lock
// if that can be had. Reading needs none to be safe, only to come to its end, so it must never be refused for want of
// one: the lock is nil, and its methods do nothing, if the credentials may not write, if the bucket is full, or while
// somebody removes data.
//
// It does not look a second time: who starts to remove data at the same moment does, and gives way. If that one has looked
// for the last time already, the lock comes too late to help, and does no harm.
func (r *Repository) LockReading(ctx context.Context) (*Lock, error) {
	lock, _, err := r.claim(ctx, lockKind{operation: r.options.Operation})
	for _, without := range []error{storage.ErrPermission, storage.ErrNoSpace, ErrLocked} {
		if errors.Is(err, without) {
			return nil, nil //nolint:nilerr,nilnil // going on without a lock is what is wanted
		}
	}
	if err != nil {
		return nil, err
	}
	lock.looked = true
	return lock.hold(ctx), nil
}

// lock takes a lock.
func (r *Repository) lock(ctx context.Context, kind lockKind) (*Lock, error) {
	lock, soon, err := r.claim(ctx, kind)
	if err != nil {
		return nil, err
	}
	if kind.early && soon {
		return lock.hold(ctx), nil
	}
	// Look again: someone who looked before our lock was there may have written one since. Of two who do this at once,
	// each sees the other's, and at least one gives way.
	err = wait.For(ctx, r.options.timing.settle)
	if err == nil {
		_, err = r.checkLocks(ctx, kind.exclusive, lock.id)
	}
	if err != nil {
		return nil, errors.Join(err, r.dropLock(ctx, lock.id, kind.exclusive))
	}
	lock.looked = true
	return lock.hold(ctx), nil
}

// claim looks whether a lock can be had, so that one who has to wait disturbs nobody, and writes it.
//
// It has come soon if the second look need not be waited for. An exclusive lock that the first look has not seen was
// written after that began, and its holder, who waits for as long as we would before he looks again, sees ours, and gives
// way. Half of that time is left for clocks that differ. A lock that vanished while we looked may have been renewed, and
// what its holder has now was not seen.
func (r *Repository) claim(ctx context.Context, kind lockKind) (lock *Lock, soon bool, err error) {
	begun := r.options.Now()
	steady, err := r.checkLocks(ctx, kind.exclusive, ID{})
	if err != nil {
		return nil, false, err
	}
	written := r.options.Now()
	id, err := r.writeLock(ctx, kind.exclusive, kind.operation)
	if err != nil {
		return nil, false, err
	}
	took := r.since(begun)
	lock = &Lock{repo: r, exclusive: kind.exclusive, operation: kind.operation, id: id, renewed: written}
	return lock, steady && took >= 0 && took <= r.options.timing.settle/2, nil
}

// since is how much time has passed by that of our two clocks which says more: one stands still while the machine
// sleeps, the other may be set.
func (r *Repository) since(begun time.Time) time.Duration {
	now := r.options.Now()
	return max(now.Sub(begun), now.Round(0).Sub(begun.Round(0)))
}

// Context ends when the lock is lost, with ErrLockLost as its cause, or with the context that Lock was given.
func (l *Lock) Context() context.Context { return l.ctx }

// Release removes the lock, even if ctx has ended already, and what was left of it before. The error says until when others
// find it, and what to do; nothing that was done under the lock is the worse for it, which is what End is for.
func (l *Lock) Release(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.cancel(context.Canceled)
	l.done.Wait()
	id, written := l.current()
	l.repo.left.add(id, leftLock{exclusive: l.exclusive, stale: written.Add(l.repo.options.timing.stale)})
	return l.repo.dropLeft(ctx)
}

// current is the lock object, and when it was written.
func (l *Lock) current() (ID, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.renewed
}

func (l *Lock) set(id ID, renewed time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.renewed = id, renewed
}

// noteFailure keeps why the last renewal failed, or nil, for when the lock is lost by that.
func (l *Lock) noteFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
}

func (l *Lock) lastFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// writeLock writes a lock object. One that failed to be written may be there all the same, if only the answer was lost, and
// would keep others out for half an hour: it is removed.
func (r *Repository) writeLock(ctx context.Context, exclusive bool, operation string) (ID, error) {
	id, _, err := r.saveObject(ctx, kindLock, lockObject{
		Time: r.options.Now(), Exclusive: exclusive, Hostname: r.options.lockHost(operation), Username: r.options.Username, PID: r.options.PID,
	})
	if err != nil && id != (ID{}) && !errors.Is(err, storage.ErrPermission) && !errors.Is(err, storage.ErrNoSpace) {
		_ = r.dropLock(ctx, id, exclusive) // the reason why it could not be written is what matters
	}
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
// lock that we have written ourselves. What it sees is steady unless a lock was renewed or released meanwhile.
func (r *Repository) checkLocks(ctx context.Context, exclusive bool, own ID) (steady bool, err error) {
	vanished, err := r.eachLockSeen(ctx, func(holder Holder, err error) error {
		switch {
		case holder.id == own:
			return nil
		case r.left.has(holder.id):
			_ = r.dropLock(ctx, holder.id, holder.Exclusive) // nobody holds it, whether it can be removed now or not
			return nil
		case holder.Dead:
			removeErr := r.removeLock(ctx, holder.id)
			if err == nil && !exclusive && !holder.Exclusive && ctx.Err() == nil {
				return nil // two who remove no data do not disturb each other, even should he be alive
			}
			return removeErr
		case err != nil:
			return fmt.Errorf("%w, it is not known by whom: %w", ErrLocked, r.unreadable(holder, err))
		case holder.Exclusive:
			return fmt.Errorf("%w exclusively by %s; wait for it to end", ErrLocked, holder)
		case exclusive:
			return fmt.Errorf("%w by %s; wait for it to end", ErrLocked, holder)
		}
		return nil
	})
	return !vanished, err
}

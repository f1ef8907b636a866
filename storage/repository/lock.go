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

// operationMark separates host and operation in the host name of a lock. No host name contains it.
const operationMark = "/"

// lockTiming are the intervals of locks and of initialisation. Tests shorten them.
type lockTiming struct {
	settle  time.Duration // between writing a lock and looking for another one written meanwhile
	refresh time.Duration // how often a lock is renewed
	retry   time.Duration // after a failed renewal, and between two looks at the clock
	stale   time.Duration // age at which a lock's holder counts as dead
	cleanup time.Duration // how long cleaning up may take after the context has ended

	poll    time.Duration // first wait between two looks at somebody else's lock
	pollMax time.Duration // longest wait between them

	initWait   time.Duration // Init: between two looks at a competitor
	initRounds int           // Init: looks until a competitor counts as dead
}

func defaultLockTiming() lockTiming {
	return lockTiming{
		settle: 200 * time.Millisecond, refresh: 5 * time.Minute, retry: 10 * time.Second, stale: 30 * time.Minute,
		cleanup: 15 * time.Second, poll: 500 * time.Millisecond, pollMax: 10 * time.Second, initWait: 250 * time.Millisecond, initRounds: 40,
	}
}

// margin is how long before a lock goes stale its holder gives up if it cannot renew it. Others may rightly ignore the
// lock at any time after it goes stale, and their clocks may differ.
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

// stale reports whether the lock's holder must be dead: the lock is too old, or names a process of this host that is
// gone.
func (l lockObject) stale(now time.Time, hostname string, after time.Duration, alive func(pid int) bool) bool {
	if now.Sub(l.Time) > after {
		return true
	}
	host, _, _ := strings.Cut(l.Hostname, operationMark)
	return hostname != "" && host == hostname && l.PID > 0 && !alive(l.PID)
}

// processAlive reports whether there is a process with this id; somebody else's process counts too.
func processAlive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// Lock is a claim on a repository. Several writers may hold one each, and nobody may remove data while any of them
// holds one. Whoever removes data holds an exclusive lock, beside which nobody else holds any. A lock renews itself
// until Release.
type Lock struct {
	repo      *Repository
	exclusive bool
	operation string // what the holder is doing, as the lock says
	ctx       context.Context
	cancel    context.CancelCauseFunc
	done      sync.WaitGroup

	looking sync.Mutex // held during the second look
	looked  bool       // it was done, or is not needed

	renewing sync.Mutex // held while the lock object is replaced

	mu      sync.Mutex
	id      ID        // of the lock object
	renewed time.Time // when the object was written, by both of our clocks
	failure error     // of the last renewal
}

// Lock takes a writer's lock. It returns ErrLocked, with the holder's name, if somebody holds an exclusive lock for
// longer than SetLockWait allows. It removes the locks of dead holders on the way.
func (r *Repository) Lock(ctx context.Context) (*Lock, error) {
	return r.lockPatiently(ctx, lockKind{operation: r.options.Operation})
}

// BeginLock is Lock for callers that call Confirm before they write anything that much relies on. It does not wait
// where it need not. So somebody else's exclusive lock may show only a moment later, as ErrLocked from Confirm and as
// the cause with which Context ends.
func (r *Repository) BeginLock(ctx context.Context) (*Lock, error) {
	return r.lockPatiently(ctx, lockKind{operation: r.options.Operation, early: true})
}

// LockExclusive takes the lock for removing data. It returns ErrLocked, with the holder's name, if anyone else holds a
// lock of any kind for longer than SetLockWait allows. It removes the locks of dead holders on the way.
func (r *Repository) LockExclusive(ctx context.Context) (*Lock, error) {
	lock, err := r.lockPatiently(ctx, lockKind{operation: r.options.Operation, exclusive: true})
	return lock, needsRoom(err)
}

// lockKind says which lock is wanted.
type lockKind struct {
	exclusive bool
	early     bool   // the second look may run beside the work
	operation string // what the holder is doing, as the lock says
}

func (r *Repository) lockPatiently(ctx context.Context, kind lockKind) (lock *Lock, err error) {
	// Whoever removes data believes no single listing: neither of other locks, nor of anything else.
	ctx = storage.WithDoubt(ctx, kind.exclusive || storage.InDoubt(ctx))
	err = r.patiently(ctx, func() (err error) {
		lock, err = r.lock(ctx, kind)
		return err
	})
	return lock, err
}

// LockReading keeps others from removing data while a volume is restored, which may take hours. It takes a writer's
// lock if it can. A restore does not need the lock to be safe, only to finish, so a missing lock must never stop it.
// The lock is nil, and its methods do nothing, if the credentials may not write, if the bucket is full, or while
// somebody removes data.
//
// LockReading does not look a second time: whoever begins to remove data at the same moment does, and gives way. If
// that process has already looked for the last time, the lock comes too late to help, and does no harm.
func (r *Repository) LockReading(ctx context.Context) (*Lock, error) {
	lock, _, err := r.claim(ctx, lockKind{operation: r.options.Operation})
	for _, without := range []error{storage.ErrPermission, storage.ErrNoSpace, ErrLocked} {
		if errors.Is(err, without) {
			return nil, nil //nolint:nilerr,nilnil // going on without a lock is intended
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
	// Look again: somebody who looked before our lock was there may have written one since. If two do this at once,
	// each sees the other's lock, and at least one gives way.
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

// claim looks whether it can have a lock, so that a process that has to wait disturbs nobody, and then writes the lock.
//
// soon says that the caller need not wait for the second look. An exclusive lock that the first look did not see was
// written after that look began. Its holder waits as long as we would before it looks again, so it sees our lock and
// gives way. Half of that time is left for clocks that differ. If a lock vanished while we looked, it may have been
// renewed, and we did not see its new object: then soon is false.
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

// since is how much time has passed by whichever of our two clocks says more: one stands still while the machine
// sleeps, and somebody may set the other.
func (r *Repository) since(begun time.Time) time.Duration {
	now := r.options.Now()
	return max(now.Sub(begun), now.Round(0).Sub(begun.Round(0)))
}

// Context ends when the lock is lost, with ErrLockLost as its cause, or when the context given to Lock ends.
func (l *Lock) Context() context.Context { return l.ctx }

// Release removes the lock, even if ctx has ended already, and leftover locks from before. The error says until when
// others find the lock, and what to do. The work done under the lock is not affected, which is what End is for.
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

// current returns the id of the lock object, and when it was written.
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

// noteFailure keeps why the last renewal failed, or nil. It matters if the lock is lost because of that.
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

// writeLock writes a lock object. If the write fails, the object may be there all the same, if only the answer was
// lost. It would keep others out for half an hour, so writeLock removes it.
func (r *Repository) writeLock(ctx context.Context, exclusive bool, operation string) (ID, error) {
	id, _, err := r.saveObject(ctx, kindLock, lockObject{
		Time: r.options.Now(), Exclusive: exclusive, Hostname: r.options.lockHost(operation), Username: r.options.Username, PID: r.options.PID,
	})
	if err != nil && id != (ID{}) && !errors.Is(err, storage.ErrPermission) && !errors.Is(err, storage.ErrNoSpace) {
		_ = r.dropLock(ctx, id, exclusive) // the caller needs the reason of the failed write, not this one
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

// checkLocks fails if somebody holds a lock that conflicts with ours, and removes the locks of dead holders. own is the
// lock that we wrote ourselves. The look is steady unless a lock was renewed or released meanwhile.
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
				return nil // two that remove no data do not disturb each other, even if its holder is alive
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

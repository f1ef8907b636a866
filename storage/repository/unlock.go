package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// Holder describes the holder of a lock, as the lock says.
type Holder struct {
	// Host is the name of the holder's host, or of a mover's pod. Operation is what the holder is doing, if it says so.
	Host      string `json:"host"`
	Operation string `json:"operation,omitempty"`
	Username  string `json:"username"`
	PID       int    `json:"pid"`
	// Exclusive says whether the lock shuts out everyone else. Time is when it was written or last renewed; if the lock
	// cannot be read, or gives a time in the future, Time comes from the bucket.
	Exclusive bool      `json:"exclusive"`
	Time      time.Time `json:"time"`
	// Dead says that nobody can hold this lock any more: it was not renewed for too long, or its process is gone.
	Dead bool `json:"dead"`
	// Damage says why the lock cannot be read; then nothing is known about its holder.
	Damage string `json:"damage,omitempty"`

	id ID
}

// String names the holder, for a message.
func (h Holder) String() string {
	if h.Damage != "" {
		return "someone unknown: " + h.Damage
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s (pid %d", h.Username, h.Host, h.PID)
	if h.Operation != "" {
		fmt.Fprintf(&b, ", operation %s", h.Operation)
	}
	fmt.Fprintf(&b, ") since %s", h.Time.Format(time.RFC3339))
	return b.String()
}

// eachLock calls fn for each lock. The error passed to fn says that this lock cannot be read; an error from fn ends
// eachLock.
func (r *Repository) eachLock(ctx context.Context, fn func(Holder, error) error) error {
	_, err := r.eachLockSeen(ctx, fn)
	return err
}

// eachLockSeen is eachLock, and reports whether a lock vanished between being listed and being read. If its holder
// renewed it, nobody has seen the new object.
func (r *Repository) eachLockSeen(ctx context.Context, fn func(Holder, error) error) (vanished bool, err error) {
	// A lock missing from a listing would block nobody: one process would write while another removes.
	ids, err := listIDs(storage.WithDoubt(ctx, true), r.bucket, kindLock)
	if err != nil {
		return false, fmt.Errorf("list locks: %w", err)
	}
	for _, id := range ids {
		holder, damage, err := r.readLock(ctx, id)
		if errors.Is(err, storage.ErrNotExist) { // renewed or released since the listing
			vanished = true
			continue
		}
		if err != nil {
			return vanished, err
		}
		if err := fn(holder, damage); err != nil {
			return vanished, err
		}
	}
	return vanished, nil
}

// readLock returns the holder of a lock, and why the lock cannot be read if it is damaged. Only the bucket knows the
// age of a damaged lock. That age is as good as a holder's own time: while a lock is held, each of its objects is
// replaced long before it goes stale, and the two clocks may differ as much as two holders' clocks. readLock also asks
// the bucket if a lock's own time is further ahead of ours than clocks may differ: otherwise, after its holder's death,
// the lock would stay for as long as that clock was ahead. If our clock is the wrong one, the bucket's time is ahead as
// well, and the lock stays.
func (r *Repository) readLock(ctx context.Context, id ID) (holder Holder, damage, err error) {
	var lock lockObject
	damage = r.loadObject(ctx, kindLock, id, &lock)
	if errors.Is(damage, storage.ErrNotExist) || Undecided(ctx, damage) {
		return Holder{}, nil, damage
	}
	if damage == nil {
		holder = Holder{Username: lock.Username, PID: lock.PID, Exclusive: lock.Exclusive, Time: lock.Time, id: id}
		holder.Host, holder.Operation, _ = strings.Cut(lock.Hostname, operationMark)
		if lock.Time.Sub(r.options.Now()) > r.options.timing.margin() {
			stored, err := r.lockStored(ctx, id)
			if err != nil {
				return Holder{}, nil, err
			}
			if !stored.IsZero() && stored.Before(lock.Time) {
				lock.Time, holder.Time = stored, stored
			}
		}
		holder.Dead = lock.stale(r.options.Now(), r.options.Hostname, r.options.timing.stale, processAlive)
		return holder, nil, nil
	}
	stored, err := r.lockStored(ctx, id)
	if err != nil {
		return Holder{}, nil, fmt.Errorf("%w; it cannot be read: %w", err, damage)
	}
	dead := !stored.IsZero() && r.options.Now().Sub(stored) > r.options.timing.stale
	return Holder{Time: stored, Dead: dead, id: id}, damage, nil
}

// lockStored asks the bucket when a lock was stored. It returns the zero time if the bucket does not know.
func (r *Repository) lockStored(ctx context.Context, id ID) (time.Time, error) {
	info, err := r.bucket.Stat(ctx, kindLock.name(id))
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the age of %s: %w", kindLock.name(id), err)
	}
	return info.Modified, nil
}

// unreadable says what will become of a damaged lock.
func (r *Repository) unreadable(holder Holder, damage error) error {
	if holder.Dead {
		return fmt.Errorf("%w; whoever takes a lock next removes it", damage)
	}
	return fmt.Errorf(
		"%w; nobody can write until %s, when it expires; if nothing works on the repository, remove it with: stsbackup unlock",
		damage,
		holder.Time.Add(r.options.timing.stale).Format(time.RFC3339),
	)
}

// Locks lists who holds locks on the repository. It removes none.
func (r *Repository) Locks(ctx context.Context) ([]Holder, error) {
	holders := []Holder{}
	err := r.eachLock(ctx, func(holder Holder, err error) error {
		if err != nil {
			holder.Damage = err.Error()
		}
		holders = append(holders, holder)
		return nil
	})
	return holders, err
}

// Unlock removes the locks whose holders are gone, according to gone, and returns these holders. A holder that is alive
// all the same finds its lock missing at its next renewal, and stops; so gone must not answer lightly. If gone is nil,
// Unlock removes locks that are dead by their own account, locks that we have given up, and damaged locks: a Bucket
// stores an object whole or not at all, so no writer is waiting for a damaged lock to become readable.
func (r *Repository) Unlock(ctx context.Context, gone func(Holder) bool) ([]Holder, error) {
	if gone == nil {
		gone = func(h Holder) bool { return h.Dead || h.Damage != "" }
	}
	holders, err := r.Locks(ctx)
	if err != nil {
		return nil, fmt.Errorf("unlock %s: %w", r, err)
	}
	removed := []Holder{}
	for _, holder := range holders {
		if !gone(holder) && !r.left.has(holder.id) {
			continue
		}
		if err := r.removeLock(ctx, holder.id); err != nil {
			return removed, fmt.Errorf("unlock %s: %w", r, err)
		}
		r.left.remove(holder.id)
		removed = append(removed, holder)
	}
	return removed, nil
}

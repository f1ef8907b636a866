package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Upkeep looks after repositories. Only Repositories must be set.
type Upkeep struct {
	Repositories Repositories
	// Movers knows which movers are gone. Nil: nobody knows, and we wait for their locks.
	Movers Movers
	// Guard, if set, keeps others in the cluster from working while we must work alone.
	Guard *Guard
	// RetryLock is how long to wait for a conflicting lock on the repository.
	RetryLock time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Note tells a person what may interest them. A text that begins with "warning: " is a warning.
	Note func(text string)
	// Progress is told of each pack that a verify or a repair has read, from one goroutine at a time.
	Progress func(packs, total int)
	// Confirm is asked before named, complete recovery points are forgotten. An error means no, and is returned.
	// Nil agrees as long as a complete recovery point is left.
	Confirm func(ctx context.Context, question Question) error
}

// Repositories are the repositories below a root; location.Root implements it.
type Repositories interface {
	// Names are the StatefulSets that have a repository.
	Names(ctx context.Context) ([]catalog.Name, error)
	// Open opens the repository of a StatefulSet. It returns repository.ErrNoRepository if there is none.
	Open(ctx context.Context, of catalog.Name) (*catalog.Catalog, error)
	// String says where they are, for messages.
	String() string
}

// Movers knows the movers whose locks we find.
type Movers interface {
	// Ended returns those holders that are movers and have ended. The error names those about which it could not find out.
	Ended(ctx context.Context, holders []repository.Holder) ([]repository.Holder, error)
}

// Guard is what a scheduler has beside the repository's locks: others in its cluster check it before they begin.
type Guard struct {
	// Operation is what a lock says about its holder if the lock is held only within Do.
	Operation string
	// Do calls do while nobody else in the cluster begins to work on the StatefulSet.
	Do func(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error
}

// now is the present time.
func (u *Upkeep) now() time.Time {
	if u.Now == nil {
		return time.Now() //nolint:forbidigo // the default of the injected clock
	}
	return u.Now()
}

// note tells a person.
func (u *Upkeep) note(text string) {
	if u.Note != nil {
		u.Note(text)
	}
}

// open opens a repository. Work on it waits for holders of conflicting locks.
func (u *Upkeep) open(ctx context.Context, of catalog.Name) (*catalog.Catalog, error) {
	points, err := u.Repositories.Open(ctx, of)
	if err != nil {
		return nil, err
	}
	u.waitForLocks(points)
	return points, nil
}

// alone runs do while nobody else may work on the repository.
func (u *Upkeep) alone(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error {
	if u.Guard == nil {
		return do(ctx)
	}
	points.Repository().SetOperation(u.Guard.Operation)
	return u.Guard.Do(ctx, points, do)
}

// waitForLocks makes operations wait for holders of conflicting locks. It removes such a lock if its holder is
// a mover that has ended. It tells a person about that, and about locks that stay although the work is done.
func (u *Upkeep) waitForLocks(points *catalog.Catalog) {
	u.tellOfLocks(points)
	points.Repository().SetLockWait(repository.LockWait{Limit: u.RetryLock, Blocked: func(ctx context.Context, locked error) bool {
		removed, err := u.unlockDeadMovers(ctx, points)
		for _, holder := range removed {
			u.note("Removed the lock of a dead mover: " + holder.String())
		}
		if err != nil {
			u.note("Could not check whether the mover that holds the lock still exists: " + err.Error())
		}
		if len(removed) == 0 && u.RetryLock > 0 {
			u.note(points.WaitingText(u.RetryLock, locked))
		}
		return len(removed) > 0
	}})
}

// tellOfLocks makes the repository tell a person about locks that stay although the work is done.
func (u *Upkeep) tellOfLocks(points *catalog.Catalog) {
	points.Repository().SetLockLeft(func(left error) { u.note("warning: " + left.Error()) })
}

// unlockDeadMovers removes the locks of movers that have ended.
func (u *Upkeep) unlockDeadMovers(ctx context.Context, points *catalog.Catalog) ([]repository.Holder, error) {
	if u.Movers == nil {
		return nil, nil
	}
	holders, err := points.Repository().Locks(ctx)
	if err != nil {
		return nil, err
	}
	ended, unknown := u.Movers.Ended(ctx, holders)
	if len(ended) == 0 {
		return nil, unknown
	}
	// Renewing a lock makes a new object, so we recognize a lock by its content.
	type mark struct{ operation, host string }
	gone := map[mark]bool{}
	for _, h := range ended {
		gone[mark{h.Operation, h.Host}] = true
	}
	removed, err := points.Unlock(ctx, func(h repository.Holder) bool { return gone[mark{h.Operation, h.Host}] })
	return removed, errors.Join(unknown, err)
}

// Refusal says why something is refused, and that nothing has been changed.
type Refusal struct {
	// Object is what the refusal is about, such as "recovery point 20261121T081200Z-3fa91c07 of demo/web".
	Object string
	// Reason says why it is refused, and Next what to do now.
	Reason, Next string
}

// Error joins the three parts in one line.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Object, r.Reason, r.Next) }

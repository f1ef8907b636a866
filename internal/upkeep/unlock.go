package upkeep

import (
	"context"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// UnlockRequest asks to remove locks.
type UnlockRequest struct {
	StatefulSet catalog.Name
	// RemoveAll also removes the locks of holders that seem to be alive.
	RemoveAll bool
}

// UnlockResult says which locks there were.
type UnlockResult struct {
	Removed []repository.Holder `json:"removed"`
	Left    []repository.Holder `json:"left"`
}

// Unlock removes locks that are dead: locks that nobody has renewed for long, locks of ended processes of this
// host and of ended movers, and locks that cannot be read.
func (u *Upkeep) Unlock(ctx context.Context, request UnlockRequest) (result UnlockResult, err error) {
	points, err := u.Repositories.Open(ctx, request.StatefulSet)
	if err != nil {
		return result, err
	}
	var gone func(repository.Holder) bool
	if request.RemoveAll {
		gone = func(repository.Holder) bool { return true }
	}
	if result.Removed, err = points.Repository().Unlock(ctx, gone); err != nil {
		return result, err
	}
	if !request.RemoveAll {
		removed, err := u.unlockDeadMovers(ctx, points)
		if err != nil {
			u.note("Could not check whether the mover that holds the lock still exists: " + err.Error())
		}
		result.Removed = append(result.Removed, removed...)
	}
	result.Left, err = points.Repository().Locks(ctx)
	return result, err
}

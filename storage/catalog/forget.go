package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// Forgotten says what Forget has removed.
type Forgotten struct {
	// ID is the recovery point's id.
	ID RecoveryPointID `json:"id"`
	// Recorded is false for leftovers of an interrupted backup, or of an interrupted Forget: they had no record.
	Recorded bool `json:"recorded"`
	// Volumes is how many repository snapshots of volumes were removed.
	Volumes int `json:"volumes"`
}

// pieces are the repository snapshots of one recovery point.
type pieces struct {
	records []repository.Snapshot
	volumes []repository.Snapshot
}

// Forget removes whole recovery points. Each id is a whole id, or a beginning that only one id has; otherwise Forget
// returns ErrNoRecoveryPoint or ErrAmbiguous before it removes anything. Leftovers without a record count too. The data
// stays in the bucket until prune. Forget returns repository.ErrLocked if anyone is at work.
//
// The record goes first, and its volumes after it: the reverse of Commit. A recovery point exists when its record does,
// so a half forgotten one does not exist: nobody can choose it for a restore and find volumes missing. Doing it again
// removes the rest, which Forget finds by its tags.
func (c *Catalog) Forget(ctx context.Context, ids ...string) ([]Forgotten, error) {
	return c.forget(ctx, func(_ context.Context, points map[RecoveryPointID]pieces, _ error) ([]RecoveryPointID, error) {
		return resolve(slices.Sorted(maps.Keys(points)), ids)
	})
}

// ForgetChosen is Forget for the ids that choose returns. choose gets what Points returns, and nobody can make or
// remove a recovery point until the chosen ones have been removed. Recovery points that cannot be read do not keep the
// others from being forgotten.
func (c *Catalog) ForgetChosen(ctx context.Context, choose func([]Point) []RecoveryPointID) ([]Forgotten, error) {
	return c.forget(ctx, func(ctx context.Context, found map[RecoveryPointID]pieces, listErr error) ([]RecoveryPointID, error) {
		points, err := c.points(ctx, found, listErr)
		if points == nil || ctx.Err() != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
		return resolve(slices.Sorted(maps.Keys(found)), choose(points))
	})
}

// forget removes the recovery points whose whole ids choose returns. It calls choose with the lock held, with what
// pieces returns.
func (c *Catalog) forget(ctx context.Context,
	choose func(context.Context, map[RecoveryPointID]pieces, error) ([]RecoveryPointID, error),
) (forgotten []Forgotten, err error) {
	fail := func(err error) ([]Forgotten, error) { return forgotten, fmt.Errorf("forget in %s: %w", c.host, err) }
	// Exclusive, because Commit checks that all volumes are there and then writes the record.
	lock, err := c.repo.LockExclusive(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { err = lock.End(ctx, err) }()
	points, listErr := c.pieces(lock.Context())
	if points == nil {
		return fail(listErr)
	}
	whole, err := choose(lock.Context(), points, listErr)
	if err != nil {
		return fail(err)
	}
	for _, id := range whole {
		point := points[id]
		if err := lock.RemoveSnapshots(slices.Concat(idsOf(point.records), idsOf(point.volumes))...); err != nil {
			return fail(fmt.Errorf("recovery point %s: %w; run the command again to remove the rest", id, err))
		}
		forgotten = append(forgotten, Forgotten{ID: id, Recorded: len(point.records) > 0, Volumes: len(point.volumes)})
	}
	return forgotten, nil
}

func idsOf(snapshots []repository.Snapshot) []repository.ID {
	ids := make([]repository.ID, len(snapshots))
	for i, snapshot := range snapshots {
		ids[i] = snapshot.ID
	}
	return ids
}

// pieces finds the repository snapshots of all recovery points by their tags: a damaged record must not keep its
// recovery point from being forgotten. Unreadable repository snapshots belong to no known recovery point; the error
// names them, and is returned together with the others.
func (c *Catalog) pieces(ctx context.Context) (map[RecoveryPointID]pieces, error) {
	snapshots, err := c.repo.Snapshots(ctx)
	if err != nil && (snapshots == nil || ctx.Err() != nil) {
		return nil, err
	}
	return c.sorted(snapshots), err
}

// sorted returns the repository snapshots of each recovery point.
func (c *Catalog) sorted(snapshots []repository.Snapshot) map[RecoveryPointID]pieces {
	points := map[RecoveryPointID]pieces{}
	for _, snapshot := range snapshots {
		id := pointOf(snapshot)
		if _, tagged := snapshot.Tag(TagRecoveryPoint); !tagged || !snapshot.HasTag(TagStsbackup) || snapshot.Hostname != c.host {
			continue
		}
		point := points[id]
		if snapshot.HasTag(TagRecord) {
			point.records = append(point.records, snapshot)
		} else {
			point.volumes = append(point.volumes, snapshot)
		}
		points[id] = point
	}
	return points
}

// pointOf is the recovery point that a repository snapshot says it belongs to; "" if none.
func pointOf(snapshot repository.Snapshot) RecoveryPointID {
	id, _ := snapshot.Tag(TagRecoveryPoint)
	return RecoveryPointID(id)
}

// JoinIDs lists ids for people.
func JoinIDs(ids []RecoveryPointID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, ", ")
}

// resolve completes beginnings of ids.
func resolve[S ~string](known []RecoveryPointID, wanted []S) (whole []RecoveryPointID, err error) {
	for _, want := range wanted {
		var matches []RecoveryPointID
		for _, id := range known {
			if string(id) == string(want) {
				matches = []RecoveryPointID{id}
				break
			}
			if want != "" && strings.HasPrefix(string(id), string(want)) {
				matches = append(matches, id)
			}
		}
		switch len(matches) {
		case 0:
			return nil, fmt.Errorf("%.80q: %w; it takes the id of one, or its beginning", want, ErrNoRecoveryPoint)
		case 1:
			if !slices.Contains(whole, matches[0]) {
				whole = append(whole, matches[0])
			}
		default:
			return nil, fmt.Errorf("%.80q could be any of %s: %w", want, JoinIDs(matches), ErrAmbiguous)
		}
	}
	return whole, nil
}

// Leftovers are the ids of recovery points that have volumes but no record: their backup is running, or was
// interrupted, or they are half forgotten. Their data is kept until they are forgotten.
func (c *Catalog) Leftovers(ctx context.Context) ([]RecoveryPointID, error) {
	points, err := c.pieces(ctx)
	if points == nil {
		return nil, fmt.Errorf("%s: %w", c.host, err)
	}
	maps.DeleteFunc(points, func(_ RecoveryPointID, p pieces) bool { return len(p.records) > 0 })
	return slices.Sorted(maps.Keys(points)), nil
}

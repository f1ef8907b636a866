package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// States that only a Point has: no record can have them.
const (
	// StateUnrecorded: there are volumes but no record. The backup is running or was interrupted, or the recovery point
	// is half forgotten.
	StateUnrecorded State = "unrecorded"
	// StateUnreadable: the record cannot be read, or there may be one.
	StateUnreadable State = "unreadable"
)

// Point is everything that exists of a recovery point, whether it has a record or not.
type Point struct {
	ID    RecoveryPointID
	State State
	// Started is when its backup began: as its record says, or without a record its id; zero if neither says it.
	Started time.Time
	// Touched is the time of its newest repository snapshot, or Started if that is later.
	Touched time.Time
	// Recorded says that there is a record, readable or not.
	Recorded bool
	// Volumes is how many repository snapshots of volumes there are.
	Volumes int
}

// Points lists everything that exists of recovery points, sorted by id: what List lists, recovery points with
// unreadable records, and those without a record. The error names what could not be read, and is returned together with
// the others. While some repository snapshot cannot be read, that one may be the record of a recovery point that seems
// to have none, which then is StateUnreadable.
func (c *Catalog) Points(ctx context.Context) ([]Point, error) {
	found, err := c.pieces(ctx)
	if found == nil {
		return nil, fmt.Errorf("%s: %w", c.host, err)
	}
	return c.points(ctx, found, err)
}

// points reads the records that pieces has found; listErr is the error that pieces returned with them.
func (c *Catalog) points(ctx context.Context, found map[RecoveryPointID]pieces, listErr error) ([]Point, error) {
	if err := c.repo.LoadIndex(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", c.host, err)
	}
	var failures []error
	if listErr != nil {
		failures = append(failures, fmt.Errorf("%s: %w", c.host, listErr))
	}
	points := make([]Point, 0, len(found))
	for id, pieces := range found {
		point := Point{ID: id, State: StateUnrecorded, Started: timeOf(id), Recorded: len(pieces.records) > 0, Volumes: len(pieces.volumes)}
		if listErr != nil {
			point.State = StateUnreadable
		}
		for _, snapshot := range pieces.records {
			record, err := c.readRecord(ctx, snapshot, id)
			if err != nil {
				point.State = StateUnreadable
				failures = append(failures, fmt.Errorf("recovery point %s of %s: %w", id, c.host, err))
				break
			}
			point.State, point.Started = record.State, record.Started
		}
		point.Touched = point.Started
		for _, snapshot := range slices.Concat(pieces.records, pieces.volumes) {
			point.Touched = later(point.Touched, snapshot.Time)
		}
		points = append(points, point)
	}
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.ID, b.ID) })
	return points, errors.Join(failures...)
}

// Resolve returns what Forget would return for these ids, given what Points returned.
func Resolve[S ~string](points []Point, ids ...S) ([]Forgotten, error) {
	known := make([]RecoveryPointID, len(points))
	for i, point := range points {
		known[i] = point.ID
	}
	whole, err := resolve(known, ids)
	if err != nil {
		return nil, err
	}
	forgotten := make([]Forgotten, 0, len(whole))
	for _, id := range whole {
		point := points[slices.Index(known, id)]
		forgotten = append(forgotten, Forgotten{ID: id, Recorded: point.Recorded, Volumes: point.Volumes})
	}
	return forgotten, nil
}

// timeOf is the time in an id; zero if CheckID refuses the id.
func timeOf(id RecoveryPointID) time.Time {
	if CheckID(id) != nil {
		return time.Time{}
	}
	at, err := time.Parse(idTime, string(id[:len(idTime)]))
	if err != nil {
		return time.Time{}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

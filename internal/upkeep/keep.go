package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// KeepRequest says which recovery points of a StatefulSet to keep.
type KeepRequest struct {
	StatefulSet catalog.Name
	Rules       retention.Rules
	// Zone is the time zone in which days begin.
	Zone *time.Location
	// DryRun decides everything, but removes nothing.
	DryRun bool
}

// KeepResult is what was decided and done for one StatefulSet.
type KeepResult struct {
	Namespace   string         `json:"namespace"`
	StatefulSet string         `json:"statefulSet"`
	DryRun      bool           `json:"dryRun"`
	Points      []KeepDecision `json:"points"`
	// Forgotten is what was removed; in a dry run nothing.
	Forgotten []catalog.Forgotten `json:"forgotten"`
}

// KeepDecision is the decision about one recovery point.
type KeepDecision struct {
	ID      catalog.RecoveryPointID `json:"id"`
	State   retention.State         `json:"state"`
	Time    time.Time               `json:"time"`
	Keep    bool                    `json:"keep"`
	Reasons []string                `json:"reasons"`
}

// Keep applies rules to the recovery points of one StatefulSet, and forgets those that no rule keeps. The
// result says what was decided and done, whatever the error.
func (u *Upkeep) Keep(ctx context.Context, request KeepRequest) (KeepResult, error) {
	of := request.StatefulSet
	result := KeepResult{
		Namespace: of.Namespace, StatefulSet: of.StatefulSet, DryRun: request.DryRun,
		Points: []KeepDecision{}, Forgotten: []catalog.Forgotten{},
	}
	points, err := u.open(ctx, of)
	if err != nil {
		return result, err
	}
	choose := func(found []catalog.Point) []catalog.RecoveryPointID {
		var removed []catalog.RecoveryPointID
		result.Points, removed = decisions(retention.Decide(retentionPoints(found), request.Rules, u.now(), request.Zone))
		return removed
	}
	found, unread := points.Points(ctx)
	if found == nil {
		return result, unread
	}
	if unread != nil {
		unread = fmt.Errorf("some recovery points could not be read and were kept: %w; \"stsbackup verify %s\" says more", unread, of)
	}
	// While there is nothing to remove, nobody has to stop working. What to remove is decided again under the
	// lock, because a backup can have ended since.
	if removed := choose(found); len(removed) == 0 || request.DryRun {
		return result, unread
	}
	forgotten, err := u.forget(ctx, points, func(ctx context.Context) ([]catalog.Forgotten, error) { return points.ForgetChosen(ctx, choose) })
	result.Forgotten = append(result.Forgotten, forgotten...)
	return result, errors.Join(unread, err)
}

// retentionPoints are the catalog's recovery points in the form that retention takes.
func retentionPoints(points []catalog.Point) []retention.Point {
	states := map[catalog.State]retention.State{
		catalog.StateComplete:   retention.Complete,
		catalog.StateIncomplete: retention.Incomplete,
		catalog.StateUnrecorded: retention.Unrecorded,
	}
	all := make([]retention.Point, 0, len(points))
	for _, point := range points {
		state, known := states[point.State]
		if !known {
			state = retention.Unreadable
		}
		all = append(all, retention.Point{ID: string(point.ID), State: state, Time: point.Started, Touched: point.Touched})
	}
	return all
}

// decisions splits retention's decisions into what to show and what to remove.
func decisions(decided []retention.Decision) (shown []KeepDecision, removed []catalog.RecoveryPointID) {
	shown = []KeepDecision{}
	for _, d := range decided {
		shown = append(shown, KeepDecision{ID: catalog.RecoveryPointID(d.ID), State: d.State, Time: d.Time, Keep: d.Keep, Reasons: d.Reasons})
		if !d.Keep {
			removed = append(removed, catalog.RecoveryPointID(d.ID))
		}
	}
	return shown, removed
}

package upkeep

import (
	"context"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// maxUnused is how much unneeded data a prune leaves in packs that it would have to write anew, as a share of all data.
const maxUnused = 0.05

// PruneRequest asks for a prune.
type PruneRequest struct {
	StatefulSet catalog.Name
	// DryRun has everything found out, and nothing changed.
	DryRun bool
}

// PruneResult is what a prune has done.
type PruneResult struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	repository.PruneReport
	// Leftovers are recovery points without a record, whose data is kept until they are forgotten.
	Leftovers []catalog.RecoveryPointID `json:"leftovers"`
}

// Prune frees what no recovery point of a StatefulSet needs.
func (u *Upkeep) Prune(ctx context.Context, request PruneRequest) (*PruneResult, error) {
	of := request.StatefulSet
	points, err := u.open(ctx, of)
	if err != nil {
		return nil, err
	}
	if err := points.Repository().Writable(); err != nil {
		return nil, fmt.Errorf("prune %s: %w", of, err)
	}
	options := repository.PruneOptions{MaxUnused: maxUnused, DryRun: request.DryRun}
	if u.Guard != nil {
		options.AloneOperation = u.Guard.Operation
		options.Alone = func(ctx context.Context, do func(context.Context) error) error { return u.Guard.Do(ctx, points, do) }
		// Nobody is at work who would have to be waited for in the end, and what the dead have left is removed.
		if err := options.Alone(ctx, func(context.Context) error { return nil }); err != nil {
			return nil, err
		}
	}
	result := &PruneResult{Namespace: of.Namespace, StatefulSet: of.StatefulSet}
	if result.PruneReport, err = points.Prune(ctx, options); err != nil {
		return nil, err
	}
	leftovers, err := points.Leftovers(ctx)
	result.Leftovers = append([]catalog.RecoveryPointID{}, leftovers...)
	return result, err
}

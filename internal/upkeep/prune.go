package upkeep

import (
	"context"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// maxUnused is how much unneeded data, as a share of all data, a prune leaves in packs that it would otherwise have to rewrite.
const maxUnused = 0.05

// PruneRequest asks for a prune.
type PruneRequest struct {
	StatefulSet catalog.Name
	// DryRun finds everything out, but changes nothing.
	DryRun bool
}

// PruneResult is what a prune has done.
type PruneResult struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	repository.PruneReport
	// Leftovers are recovery points without a record. Their data is kept until they are forgotten.
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
		// This ensures that nobody is at work for whom the prune would have to wait at its end, and removes what dead operations have left.
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

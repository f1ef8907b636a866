package repository

import (
	"context"
	"fmt"
)

// Probe makes sure, without reading much, that this process can read the repository: it lists the index, opens one
// index object, if there is one, and checks that the given repository snapshots are there. It returns ErrNoSnapshot for
// a missing one.
func (r *Repository) Probe(ctx context.Context, snapshots []ID) error {
	ids, err := listIDs(ctx, r.bucket, kindIndex)
	if err != nil {
		return fmt.Errorf("list index: %w", err)
	}
	for _, id := range ids[:min(1, len(ids))] {
		if _, err := r.openObject(ctx, kindIndex, id); err != nil {
			return err
		}
	}
	for _, id := range snapshots {
		if _, err := r.LoadSnapshot(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

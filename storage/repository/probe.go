package repository

import (
	"context"
	"fmt"
)

// Probe makes sure, without reading much, that the repository can be read from here: that its index can be listed and an
// object of it opened, if there is one, and that these repository snapshots are there. ErrNoSnapshot for one that is not.
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

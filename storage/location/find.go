package location

import (
	"context"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Find opens the repository of a StatefulSet and finds the recovery point that a reference names, as catalog.Find does.
func (r *Root) Find(ctx context.Context, of catalog.Name, ref string) (catalog.Record, error) {
	points, err := r.Open(ctx, of)
	if err != nil {
		return catalog.Record{}, err
	}
	return points.Find(ctx, ref)
}

package location

import (
	"context"
	"errors"
	"slices"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// NamesIn are the StatefulSets of a namespace that have a repository below the root, in lexical order; with an empty
// namespace they are those of all.
func (r *Root) NamesIn(ctx context.Context, namespace string) ([]catalog.Name, error) {
	names, err := r.Names(ctx)
	if err != nil || namespace == "" {
		return names, err
	}
	return slices.DeleteFunc(names, func(name catalog.Name) bool { return name.Namespace != namespace }), nil
}

// Records are the recovery points of these StatefulSets, as far as they can be read; the error says which cannot.
func (r *Root) Records(ctx context.Context, of []catalog.Name) ([]catalog.Record, error) {
	var records []catalog.Record
	var failures []error
	for _, name := range of {
		points, err := r.Open(ctx, name)
		if err == nil {
			var found []catalog.Record
			found, err = points.List(ctx)
			records = append(records, found...)
		}
		failures = append(failures, err)
	}
	return records, errors.Join(failures...)
}

// Find opens the repository of a StatefulSet and finds the recovery point that a reference names, as catalog.Find does.
func (r *Root) Find(ctx context.Context, of catalog.Name, ref string) (catalog.Record, error) {
	points, err := r.Open(ctx, of)
	if err != nil {
		return catalog.Record{}, err
	}
	return points.Find(ctx, ref)
}

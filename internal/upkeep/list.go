package upkeep

import (
	"context"
	"errors"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// ListRequest says whose recovery points are wanted.
type ListRequest struct {
	// StatefulSets are those; none is all that have a repository, in the Namespace if there is one.
	StatefulSets []catalog.Name
	Namespace    string
}

// Listing has the recovery points of one StatefulSet.
type Listing struct {
	StatefulSet catalog.Name
	// Records are those of its recovery points, newest last.
	Records []catalog.Record
	// Err says what could not be read. Records are the others.
	Err error
}

// List lists the recovery points below the root. That one repository cannot be read keeps none of the others from being
// listed; an error beside no listing says that nothing could be.
func (u *Upkeep) List(ctx context.Context, request ListRequest) ([]Listing, error) {
	names := request.StatefulSets
	if len(names) == 0 {
		all, err := u.Repositories.Names(ctx)
		if err != nil {
			return nil, err
		}
		names = ofNamespace(all, request.Namespace)
	}
	listings := make([]Listing, 0, len(names))
	for _, name := range names {
		listing := Listing{StatefulSet: name}
		points, err := u.Repositories.Open(ctx, name)
		if err == nil {
			listing.Records, err = points.List(ctx)
		}
		listing.Err = err
		listings = append(listings, listing)
	}
	return listings, nil
}

// Records are those of all listings, and the error what could not be read of any.
func Records(listings []Listing) ([]catalog.Record, error) {
	var records []catalog.Record
	var failures []error
	for _, listing := range listings {
		records, failures = append(records, listing.Records...), append(failures, listing.Err)
	}
	return records, errors.Join(failures...)
}

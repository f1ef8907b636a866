package upkeep

import (
	"context"
	"errors"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// ListRequest says whose recovery points to list.
type ListRequest struct {
	// StatefulSets are the StatefulSets to list; none means all that have a repository, in the Namespace if it is set.
	StatefulSets []catalog.Name
	Namespace    string
}

// Listing holds the recovery points of one StatefulSet.
type Listing struct {
	StatefulSet catalog.Name
	// Records are the records of its recovery points, newest last.
	Records []catalog.Record
	// Err says what could not be read. Records are the rest.
	Err error
}

// List lists the recovery points below the root. If one repository cannot be read, List still lists the others.
// An error without any listing means that nothing could be listed.
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

// Records are the records of all listings; the error says what could not be read in any of them.
func Records(listings []Listing) ([]catalog.Record, error) {
	var records []catalog.Record
	var failures []error
	for _, listing := range listings {
		records, failures = append(records, listing.Records...), append(failures, listing.Err)
	}
	return records, errors.Join(failures...)
}

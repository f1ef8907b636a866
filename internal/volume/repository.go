package volume

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Repository is the repository of a StatefulSet, and how to open it.
type Repository struct {
	// Root is the location below which the repositories are. This package sets Watch and Create in it.
	Root location.Config
	// Of is the StatefulSet.
	Of catalog.Name
	// Password is the password of this one repository.
	Password repository.Secret
	// Operation is what locks on the repository say about their holder. Only movers have one.
	Operation string
}

// Observer is told how the work on a volume goes. Each field may be nil. Calls may come from several goroutines.
type Observer struct {
	// Progress is told how much of the volume is done.
	Progress archive.Reporter
	// Waiting is told, in words, what the work waits for.
	Waiting func(reason string)
	// Watch counts what is done with the bucket.
	Watch func(storage.Bucket) storage.Bucket
	// Step is called for each entry of a directory that is looked at or removed before anything is restored.
	Step func()
}

// InvalidError says that a request cannot be carried out as it is. Nothing has been done.
type InvalidError struct{ err error }

// Error says what is wrong.
func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *InvalidError) Unwrap() error { return e.err }

func invalidf(format string, args ...any) error { return &InvalidError{fmt.Errorf(format, args...)} }

// CheckClaim fails for a text that cannot be the name of a claim, and so of the top-level directory of a repository snapshot.
func CheckClaim(claim string) error {
	if claim == "" {
		return invalidf("no claim: give --claim, for example --claim www-web-0")
	}
	if claim == "." || claim == ".." || strings.ContainsAny(claim, "/,\x00") {
		return invalidf("%q cannot be the name of a claim", claim)
	}
	return nil
}

// Open opens the repository.
func (r Repository) Open(ctx context.Context) (*catalog.Catalog, error) {
	return r.open(ctx, Observer{}, false)
}

// open opens the repository; with create, it creates the repository if there is none.
func (r Repository) open(ctx context.Context, observer Observer, create bool) (*catalog.Catalog, error) {
	r.Root.Create, r.Root.Watch = create, observer.Watch
	root, err := location.OpenBucket(r.Root)
	if err != nil {
		return nil, err
	}
	points, err := r.points(ctx, root, create)
	if err != nil {
		return nil, err
	}
	points.Repository().SetOperation(r.Operation)
	return points, nil
}

func (r Repository) points(ctx context.Context, root storage.Bucket, create bool) (*catalog.Catalog, error) {
	// Deriving a key from a password takes 32 MiB for a moment. Free them, so that the data path does not take its memory on top.
	if create {
		defer debug.FreeOSMemory()
		return catalog.OpenOrCreate(ctx, root, r.Of.Namespace, r.Of.StatefulSet, r.Password)
	}
	defer runtime.GC() // the process soon uses this memory again, so do not return it to the system
	return catalog.Open(ctx, root, r.Of.Namespace, r.Of.StatefulSet, r.Password)
}

// Find returns the repository snapshot with that id; without an id, the repository snapshot of a claim in a recovery point.
func Find(ctx context.Context, points *catalog.Catalog, recoveryPoint, claim string, id repository.ID) (repository.Snapshot, error) {
	if id == (repository.ID{}) {
		return points.FindVolume(ctx, recoveryPoint, claim)
	}
	return points.Repository().LoadSnapshot(ctx, id)
}

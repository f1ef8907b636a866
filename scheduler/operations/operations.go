package operations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/setup"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// openingAtOnce bounds how many repositories are opened at once: deriving a key from a password takes 32 MiB.
const openingAtOnce = 2

// Config is what the operations work with. All fields except Namespace and BusyAfter must be set.
type Config struct {
	// Root opens the repository root, with the present password and credentials.
	Root func() (*location.Root, error)
	// Movers says how movers run unless a policy says otherwise, and Process names the process that starts them.
	Movers  setup.Options
	Process setup.Process
	Cluster *cluster.Client
	// Namespace is the only namespace that the operations look after; empty for all.
	Namespace string
	// Holder says who is at work; others who find a Lease taken read it.
	Holder string
	// BusyAfter is how long to wait for people and programs that work on a repository outside of the cluster. The
	// scheduler tries again later anyway.
	BusyAfter time.Duration
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

// Operations implements scheduler.Operations.
type Operations struct {
	Config
	opening chan struct{}
	// backUp makes a recovery point. If that is incomplete, it returns both a record and an error.
	backUp func(ctx context.Context, maker *backup.Maker, request backup.Request) (*catalog.Record, error)
}

// New prepares to work. It contacts nobody yet.
func New(config Config) *Operations {
	return &Operations{
		Config: config, opening: make(chan struct{}, openingAtOnce),
		backUp: func(ctx context.Context, maker *backup.Maker, request backup.Request) (*catalog.Record, error) {
			return maker.Make(ctx, request)
		},
	}
}

// points opens the catalog of a StatefulSet, with the present password and credentials.
func (o *Operations) points(ctx context.Context, of scheduler.Name) (*catalog.Catalog, error) {
	root, err := o.Root()
	if err != nil {
		return nil, err
	}
	select {
	case o.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-o.opening }()
	return root.Open(ctx, catalog.Name(of))
}

// logOf is the log for what is done to a StatefulSet.
func (o *Operations) logOf(of scheduler.Name) *slog.Logger {
	return o.Log.With("namespace", of.Namespace, "statefulSet", of.StatefulSet)
}

// operation makes a new operation on a StatefulSet, with an id of its own.
func (o *Operations) operation(of scheduler.Name, kind string) (cluster.Operation, error) {
	id, err := catalog.NewID(o.Now(), o.Random)
	return cluster.Operation{ID: string(id), Kind: kind, Namespace: of.Namespace, StatefulSet: of.StatefulSet}, err
}

// Points implements scheduler.Operations. It logs what it cannot read, which counts as not made.
func (o *Operations) Points(ctx context.Context, of scheduler.Name) ([]scheduler.Point, error) {
	catalog, err := o.points(ctx, of)
	if errors.Is(err, repository.ErrNoRepository) {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	records, err := catalog.List(ctx)
	if err != nil && (len(records) == 0 || ctx.Err() != nil) {
		return nil, translate(err)
	}
	if err != nil {
		o.logOf(of).Warn("some recovery points cannot be read", "error", err.Error())
	}
	points := make([]scheduler.Point, 0, len(records))
	for _, record := range records {
		points = append(points, pointOf(record))
	}
	return points, nil
}

// pointOf is a record as the scheduler sees it.
func pointOf(record catalog.Record) scheduler.Point {
	return scheduler.Point{
		ID: string(record.ID), Started: record.Started, Finished: record.Finished, Complete: record.State == catalog.StateComplete,
	}
}

// Forget implements scheduler.Operations.
func (o *Operations) Forget(ctx context.Context, of scheduler.Name, rules retention.Rules, zone *time.Location) (removed int, err error) {
	u, err := o.upkeep(ctx, of, "forget")
	if err != nil {
		return 0, err
	}
	result, err := u.Keep(ctx, upkeep.KeepRequest{StatefulSet: catalog.Name(of), Rules: rules, Zone: zone})
	if errors.Is(err, repository.ErrNoRepository) {
		err = nil
	}
	return len(result.Forgotten), translate(err)
}

// Prune implements scheduler.Operations.
func (o *Operations) Prune(ctx context.Context, of scheduler.Name) error {
	u, err := o.upkeep(ctx, of, "prune")
	if err != nil {
		return err
	}
	if _, err = u.Prune(ctx, upkeep.PruneRequest{StatefulSet: catalog.Name(of)}); errors.Is(err, repository.ErrNoRepository) {
		return nil
	}
	return translate(err)
}

// Verify implements scheduler.Operations.
func (o *Operations) Verify(ctx context.Context, of scheduler.Name, readData float64) error {
	root, err := o.Root()
	if err != nil {
		return err
	}
	u := &upkeep.Upkeep{Repositories: root, Now: o.Now}
	_, err = u.Verify(ctx, upkeep.VerifyRequest{StatefulSet: catalog.Name(of), ReadData: readData})
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		return nil
	case errors.Is(err, upkeep.ErrLockDamaged): // this hits no recovery point, and goes away by itself
		o.logOf(of).Warn("a damaged lock", "error", err.Error())
		return nil
	case errors.Is(err, upkeep.ErrDamaged): // the verification has a result, and it is bad
		return fmt.Errorf("%w: %w", scheduler.ErrDamaged, err)
	}
	return translate(err)
}

// translate gives an error the meaning that it has for the scheduler.
func translate(err error) error {
	var refusal *cluster.Refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrBusy), errors.Is(err, repository.ErrLocked):
		return fmt.Errorf("%w: %w", scheduler.ErrBusy, err)
	case errors.Is(err, cluster.ErrNotFound):
		return fmt.Errorf("%w: %w", scheduler.ErrGone, err)
	case errors.As(err, &refusal):
		return fmt.Errorf("%w: %w", scheduler.ErrRefused, err)
	case errors.Is(err, storage.ErrUnreachable), errors.Is(err, storage.ErrCredentials), errors.Is(err, storage.ErrNoBucket):
		return fmt.Errorf("%w: %w", scheduler.ErrBucket, err)
	case errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%w: %w", scheduler.ErrPassword, err)
	default:
		return err
	}
}

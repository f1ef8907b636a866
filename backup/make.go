package backup

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Maker makes recovery points of StatefulSets of one cluster, in repositories below one root. It is the Engine
// with its real parts instead of those of a test.
type Maker struct {
	Cluster *cluster.Client
	// Root is where the repositories are.
	Root     *location.Root
	Now      func() time.Time
	Random   io.Reader // the source of ids
	Reporter report.Reporter
	// Planned is told what the backup will do, once, before anything is done; it may be nil.
	Planned func(*Plan)
}

// Make makes one recovery point, as Engine.Run does. After a dry run the record is nil. An incomplete record
// comes together with an *IncompleteError.
func (m *Maker) Make(ctx context.Context, request Request) (*catalog.Record, error) {
	own := *m
	own.Reporter = report.NewSerial(m.Reporter) // the repository reports locks while the engine reports volumes
	m = &own
	engine := &Engine{
		Cluster: m.Cluster, Repositories: m.Repositories(request), Saver: &Movers{Cluster: m.Cluster},
		Now: m.Now, Random: m.Random, Reporter: m.Reporter, Planned: m.Planned,
	}
	record, err := engine.Run(ctx, request)
	if err != nil || record == nil {
		return nil, err
	}
	if record.State == catalog.StateIncomplete {
		return record, Incomplete(record, engine.gone(ctx, request))
	}
	return record, nil
}

// IncompleteError says that a recovery point was made that does not hold everything it should.
type IncompleteError struct {
	// Denied says that at least some of it is missing because of a missing right.
	Denied bool
	// Gone says, if the StatefulSet no longer exists, why there will be no other recovery point.
	Gone error

	what string
}

// Incomplete is the error for an incomplete recovery point.
func Incomplete(record *catalog.Record, gone error) *IncompleteError {
	e := &IncompleteError{Gone: gone}
	failed, problems := 0, 0
	for _, volume := range record.Volumes {
		if volume.Error != "" {
			failed++
		}
		e.Denied = e.Denied || gone == nil && strings.Contains(volume.Error, " is forbidden: User ") // every API server words it like this
		problems += volume.ProblemCount
	}
	e.what = fmt.Sprintf("recovery point %s of %s/%s is incomplete (%d of %d volumes and %d entries could not be saved)",
		record.ID, record.Namespace, record.StatefulSet, failed, len(record.Volumes), problems)
	return e
}

// Error says what is missing, and what to do.
func (e *IncompleteError) Error() string {
	if e.Gone != nil {
		return fmt.Sprintf("%s: %v; to restore what it holds, give its id", e.what, e.Gone)
	}
	return e.what + "; to restore what it holds, give its id; to save the rest, mend what is listed above and run the command again"
}

// Unwrap returns Gone.
func (e *IncompleteError) Unwrap() error { return e.Gone }

// Repositories opens the repository, in the bucket, of the StatefulSet that the request names.
func (m *Maker) Repositories(request Request) Repositories {
	return &stored{maker: m, request: &request}
}

// stored opens the repository of one StatefulSet.
type stored struct {
	maker   *Maker
	request *Request
}

// Open opens the repository if there is one.
func (s *stored) Open(ctx context.Context) (Repository, error) { return s.open(ctx, s.maker.Root.Open) }

// OpenOrCreate opens the repository, and creates it if there is none.
func (s *stored) OpenOrCreate(ctx context.Context) (Repository, error) {
	return s.open(ctx, s.maker.Root.OpenOrCreate)
}

func (s *stored) open(ctx context.Context,
	open func(context.Context, catalog.Name) (*catalog.Catalog, error),
) (Repository, error) {
	opened, err := open(ctx, catalog.Name{Namespace: s.request.Namespace, StatefulSet: s.request.StatefulSet})
	if err == nil {
		err = opened.Repository().Writable()
	}
	if err != nil {
		return nil, err
	}
	limit := s.request.RetryLock
	opened.Repository().SetLockWait(repository.LockWait{Limit: limit, Blocked: func(_ context.Context, locked error) bool {
		if limit > 0 {
			s.maker.Reporter.Note(opened.WaitingText(limit, locked))
		}
		return false
	}})
	opened.Repository().SetLockLeft(func(left error) { s.maker.Reporter.Warn(left.Error()) })
	return opened, nil
}

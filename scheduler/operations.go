package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// Name is the name of a StatefulSet, with its namespace.
type Name struct{ Namespace, StatefulSet string }

// String is the name as the command line takes it: namespace/statefulset.
func (n Name) String() string { return n.Namespace + "/" + n.StatefulSet }

// Point is a recovery point, with what the schedule needs to know.
type Point struct {
	ID string
	// Started is when it was begun, by the clock of the machine that made it. It decides to which run the recovery
	// point belongs.
	Started time.Time
	// Finished is when its record was written; zero if it has none.
	Finished time.Time
	// Complete: it holds everything that it should.
	Complete bool
}

// Result is what a backup has done, for metrics and the log.
type Result struct {
	Point
	// Phases are how long each part of the backup took, by the part's name.
	Phases map[string]time.Duration
	// BytesRead is how much was read from the volumes, and BytesStored how much that added to the bucket.
	BytesRead, BytesStored int64
}

// Operations does the scheduler's work, with the engines that the command line also uses. Several operations may run at
// once, also on the same StatefulSet; those that must not run together return ErrBusy. After its context has ended,
// every operation ends soon, because it cleans up within a bounded time. Every operation can be repeated after any
// failure. People see the error texts, also in Events, so they must contain no secret.
type Operations interface {
	// Points lists the recovery points of a StatefulSet in the bucket, in any order. A StatefulSet that was never
	// backed up has none, which is no error.
	Points(ctx context.Context, of Name) ([]Point, error)
	// Backup makes a recovery point. If it is incomplete, the Result says so, and there is an error too.
	Backup(ctx context.Context, of Name, options policy.Backup) (Result, error)
	// Forget removes the recovery points that no rule keeps, and returns how many. Calendar rules use the days of zone.
	Forget(ctx context.Context, of Name, rules retention.Rules, zone *time.Location) (removed int, err error)
	// Prune frees the space of data that no recovery point needs. Without a repository it does nothing.
	Prune(ctx context.Context, of Name) error
	// Verify checks the recovery points of a StatefulSet, and reads a share of the data, from 0 to 1. Without a
	// repository it checks nothing. It returns ErrDamaged if it has found damage; any other error means that it could
	// not check.
	Verify(ctx context.Context, of Name, readData float64) error
	// Displaced returns what restores have set aside, for all StatefulSets that the scheduler looks after, also those
	// that no longer exist. It reads the cluster once for all of them.
	Displaced(ctx context.Context) (map[Name]Displaced, error)
	// Discard frees what was set aside before a time, if the StatefulSet is Ready. If there is nothing to free, that is
	// no error. Even with an error, the result says what was freed.
	Discard(ctx context.Context, of Name, before time.Time) (Discarded, error)
}

// Displaced is what restores have set aside for a StatefulSet.
type Displaced struct {
	Volumes int
	Bytes   int64
	// Oldest is when the oldest of the restores set its volumes aside; zero if that is not known for any of them.
	Oldest time.Time
}

// Discarded is what was freed: the names of the volumes, and their size.
type Discarded struct {
	Volumes []string
	Bytes   int64
}

// The errors of Operations wrap one of these if they mean something to the scheduler. All others are failures, which it
// retries.
var (
	// ErrBusy: somebody else holds the StatefulSet or its repository. The scheduler tries again soon; this is no
	// failure.
	ErrBusy = errors.New("in use by somebody else")
	// ErrNotReady: the operation requires that all pods of the StatefulSet are Ready. The scheduler tries again later;
	// this is no failure.
	ErrNotReady = errors.New("not Ready")
	// ErrGone: the StatefulSet or its namespace no longer exists.
	ErrGone = errors.New("no longer there")
	// ErrRefused: a check refused the operation before it changed anything. Trying again does not help before the next
	// run.
	ErrRefused = errors.New("refused")
	// ErrDamaged: Verify has found that recovery points, or something that they need, are missing or damaged. The
	// scheduler does not repeat it before the next verification is due: reading the same data again would give the same
	// answer.
	ErrDamaged = errors.New("found damage")
	// ErrBucket: the bucket does not answer, or rejects the credentials. Every StatefulSet would get the same error.
	ErrBucket = errors.New("the bucket cannot be used")
	// ErrPassword: the root password does not open the repository, although the bucket answers.
	ErrPassword = errors.New("the root password does not open it")
)

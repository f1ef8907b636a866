package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// Name is a StatefulSet's.
type Name struct{ Namespace, StatefulSet string }

// String is the name as the command line takes it: namespace/statefulset.
func (n Name) String() string { return n.Namespace + "/" + n.StatefulSet }

// Point is a recovery point, as far as the schedule is concerned.
type Point struct {
	ID string
	// Started is when it was begun, by the clock of who made it. It decides which run the recovery point is of.
	Started time.Time
	// Finished is when its record was written; zero if there is none.
	Finished time.Time
	// Complete says that it holds all that it set out to.
	Complete bool
}

// Result is what a backup has done, for metrics and the log.
type Result struct {
	Point
	// Phases are how long each part of the backup took, by the part's name.
	Phases map[string]time.Duration
	// BytesRead is what was read of the volumes, and BytesStored what that added to the bucket.
	BytesRead, BytesStored int64
}

// Operations are what the scheduler has done; the same engines that the command line uses are behind them. Several may
// run at once, also of the same StatefulSet; those that must not meet return ErrBusy. All of them end soon after their
// context has, having cleaned up within a bounded time, and can be repeated after any failure. What their errors say is
// shown to people, in Events too, and must hold no secret.
type Operations interface {
	// Points lists the recovery points of a StatefulSet that are in the bucket, in any order. A StatefulSet that was never
	// backed up has none, which is no error.
	Points(ctx context.Context, of Name) ([]Point, error)
	// Backup makes a recovery point. One that is incomplete is a Result that says so, and an error.
	Backup(ctx context.Context, of Name, options policy.Backup) (Result, error)
	// Forget removes the recovery points that no rule keeps, and says how many those were. Calendar rules go by zone.
	Forget(ctx context.Context, of Name, rules retention.Rules, zone *time.Location) (removed int, err error)
	// Prune frees the space of what no recovery point needs. Without a repository there is nothing to do.
	Prune(ctx context.Context, of Name) error
	// Verify checks the recovery points of a StatefulSet, reading a share of the data, from 0 to 1. Without a repository
	// there is nothing to check. That damage was found is ErrDamaged; any other error, that it could not be checked.
	Verify(ctx context.Context, of Name, readData float64) error
	// Displaced tells what restores have set aside, of all StatefulSets that the scheduler looks after and of those that are
	// gone, with one look at the cluster for all of them.
	Displaced(ctx context.Context) (map[Name]Displaced, error)
	// Discard frees what was set aside before a time, of a StatefulSet that is Ready. Nothing to free is no error; and beside one,
	// the result says what was freed all the same.
	Discard(ctx context.Context, of Name, before time.Time) (Discarded, error)
}

// Displaced is what restores have set aside of a StatefulSet.
type Displaced struct {
	Volumes int
	Bytes   int64
	// Oldest is since when what the oldest of the restores has set aside lies there; zero if that is not known of any.
	Oldest time.Time
}

// Discarded is what was freed: the names of the volumes, and their size.
type Discarded struct {
	Volumes []string
	Bytes   int64
}

// What the errors of Operations wrap if they mean something to the scheduler. All others are failures, which are retried.
var (
	// ErrBusy: somebody else holds the StatefulSet or its repository. It is tried again soon, and is no failure.
	ErrBusy = errors.New("in use by somebody else")
	// ErrNotReady: it is only done to a StatefulSet all of whose pods are Ready. It is tried again later, and is no failure.
	ErrNotReady = errors.New("not Ready")
	// ErrGone: the StatefulSet or its namespace is no longer there.
	ErrGone = errors.New("no longer there")
	// ErrRefused: a check before anything was changed. Trying again does not help before the next run.
	ErrRefused = errors.New("refused")
	// ErrDamaged: Verify has found recovery points, or something that they need, missing or damaged. It is not done again
	// before the next verification is due: reading the same once more would tell the same.
	ErrDamaged = errors.New("found damage")
	// ErrBucket: the bucket does not answer, or lets nobody in. It would be the same for every StatefulSet.
	ErrBucket = errors.New("the bucket cannot be used")
	// ErrPassword: the root password does not open the repository, though the bucket answers.
	ErrPassword = errors.New("the root password does not open it")
)

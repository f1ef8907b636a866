package operations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/internal/upkeep/movers"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// releaseWithin bounds how long giving a Lease back may take; otherwise the Lease expires by itself.
const releaseWithin = 10 * time.Second

// upkeep is upkeep for the scheduler. An operation that removes data holds the Lease of the StatefulSet while nobody
// may work beside it: then no backup of this cluster can meet it. If somebody kills this process, the next holder of
// the Lease knows what to make of the lock that the process has left.
func (o *Operations) upkeep(ctx context.Context, of scheduler.Name, kind string) (*upkeep.Upkeep, error) {
	root, err := o.Root()
	if err != nil {
		return nil, err
	}
	op, err := o.operation(of, kind)
	if err != nil {
		return nil, err
	}
	uid, err := o.Cluster.UID(ctx)
	if err != nil {
		return nil, err
	}
	return &upkeep.Upkeep{
		Repositories: root,
		Movers:       movers.Cluster{Connect: func() (*cluster.Client, error) { return o.Cluster, nil }},
		RetryLock:    o.BusyAfter,
		Now:          o.Now,
		Note:         func(text string) { note(o.logOf(of), text) },
		Guard: &upkeep.Guard{
			Operation: op.LeaseMark(uid),
			Do: func(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error {
				return o.withLease(ctx, op, uid, points, do)
			},
		},
	}, nil
}

// withLease does something brief while we hold the Lease of the StatefulSet.
func (o *Operations) withLease(
	ctx context.Context,
	op cluster.Operation,
	uid string,
	points *catalog.Catalog,
	do func(context.Context) error,
) error {
	records, err := points.List(ctx)
	if err != nil && len(records) == 0 {
		return err
	}
	if err := catalog.CheckCluster(records, uid); err != nil {
		return &cluster.Refusal{
			Object: op.Object(),
			Reason: err.Error(),
			Next:   "give each cluster a repository root of its own; nothing was removed",
		}
	}
	lease, err := o.Cluster.Acquire(ctx, op, cluster.LeaseOptions{Holder: fmt.Sprintf("%s by %s", op, o.Holder), Brief: true})
	if err != nil {
		return err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		if left := lease.Release(clean); left != nil { // the work itself has not failed
			o.logOf(scheduler.Name{Namespace: op.Namespace, StatefulSet: op.StatefulSet}).Warn(left.Error() + "; it expires by itself")
		}
	}()
	// The repository does not know about the Lease: do nothing to the repository while somebody else may hold the
	// Lease.
	alone, cancel, err := cluster.Assured(lease.Context())
	if err != nil {
		return err
	}
	defer cancel()
	_, err = points.Unlock(alone, func(h repository.Holder) bool {
		return cluster.LeaseMarked(uid, h.Operation) && h.Operation != op.LeaseMark(uid)
	})
	if err == nil {
		err = do(alone)
	}
	if lost := context.Cause(alone); err != nil && errors.Is(lost, cluster.ErrLeaseLost) {
		return fmt.Errorf("%w (%w)", lost, err)
	}
	return err
}

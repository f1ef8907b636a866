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

// releaseWithin bounds how long it may take to give a Lease back, which ends by itself otherwise.
const releaseWithin = 10 * time.Second

// upkeep is that of the scheduler. What removes data has the Lease of the StatefulSet while nobody may work beside it: then no
// backup of this cluster can meet it, and if this process is killed, the next to have the Lease knows what to make of the lock
// that it has left.
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

// withLease does what is brief while we have the Lease of the StatefulSet.
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
		if left := lease.Release(clean); left != nil { // no failure of what was done
			o.logOf(scheduler.Name{Namespace: op.Namespace, StatefulSet: op.StatefulSet}).Warn(left.Error() + "; it expires by itself")
		}
	}()
	// The repository does not know of the Lease: nothing is done to it while another may have that.
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

package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// removing bounds the wait for our objects to go, and says what the wait is for.
func (r *run) removing() cluster.Removing {
	return cluster.Removing{Limit: cleanupWithin, Waiting: r.Reporter.Note}
}

// sweep removes what dead operations have left. It reports what does not go. That does no harm, because each operation
// has its own names, with one exception: a restore's mover that may still write to a volume that we want to save.
func (r *run) sweep(ctx context.Context) error {
	var err error
	r.swept, err = r.Cluster.Sweep(ctx, r.op, r.removing())
	for _, name := range r.swept.Removed {
		r.Reporter.Note("removed what a dead operation had left: " + name)
	}
	if err != nil {
		return fmt.Errorf("remove what dead operations have left: %w", err)
	}
	for _, left := range r.swept.Left {
		if claim, writes := r.writes(left); writes {
			return &cluster.Refusal{
				Object: r.op.Object(),
				Reason: fmt.Sprintf(
					"%s on node %s, which a dead restore has left, may still write to claim %s: %s",
					left.Object,
					left.Node,
					claim,
					left.Reason,
				),
				Next: cmp.Or(left.Next, "wait until it is gone") + ", and run the command again",
			}
		}
	}
	for _, left := range r.swept.Left {
		r.Reporter.Warn("left by a dead operation: " + left.Error())
	}
	return nil
}

// writes reports whether a leftover pod may write to a claim of the StatefulSet, and to which.
func (r *run) writes(left *cluster.Leftover) (claim string, writes bool) {
	for _, claim := range left.MayWrite {
		if slices.ContainsFunc(r.volumes, func(v *volumeRun) bool { return v.Claim == claim }) {
			return claim, true
		}
	}
	return "", false
}

// mark is what our movers write into their locks.
func (r *run) mark() string { return r.op.MoverMark(r.inventory.Cluster) }

// unlock removes two kinds of locks: those that dead movers have left, which would keep everyone from removing data until they
// are 30 minutes old; and those of earlier holders of the Lease, which would keep even us from working. The pods of our
// StatefulSet's movers are gone, except those that the sweep has named: we have the Lease, and the sweep or the cleanup has
// just made sure. unlock leaves the locks of others alone, who may work outside the cluster, or restore to another StatefulSet.
func (r *run) unlock(ctx context.Context, over func(repository.Holder) bool) {
	here := r.inventory.Cluster
	alone, cancel, err := cluster.Assured(ctx)
	if err != nil {
		r.Reporter.Warn("locks of dead operations: " + err.Error())
		return
	}
	defer cancel()
	removed, err := r.repo.Unlock(alone, func(h repository.Holder) bool {
		mover, isMover := cluster.ParseMoverMark(h.Operation, h.Host)
		ours := isMover && mover == cluster.MarkedMover{Cluster: here, Namespace: r.op.Namespace, StatefulSet: r.op.StatefulSet}
		return (ours || cluster.LeaseMarked(here, h.Operation)) && over(h)
	})
	for _, holder := range removed {
		r.Reporter.Note("removed the lock that a dead operation had left: " + holder.String())
	}
	if err != nil {
		r.Reporter.Warn("locks of dead operations: " + err.Error())
	}
}

// end is step 8: in any case it removes what is still there and gives the Lease back. It reports what it cannot
// remove now, and the next backup sweeps that.
func (r *run) end(ctx context.Context, lease *cluster.Lease) {
	r.Reporter.Phase(PhaseCleanup)
	clean, cancel := lease.Grace(ctx, cleanupWithin+requestsWithin)
	if lease.Lost() != nil {
		// We may remove what has our id even without the Lease.
		cancel()
		clean, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanupWithin+requestsWithin)
	}
	defer cancel()
	own, err := r.Cluster.Cleanup(clean, r.op, r.removing())
	if err != nil {
		r.Reporter.Warn("clean up: " + err.Error() + "; the next backup of this StatefulSet tries again")
	} else if r.repo != nil && lease.Lost() == nil {
		// A killed mover could not remove its own lock.
		r.unlock(clean, func(h repository.Holder) bool { return h.Operation == r.mark() && !own.MayRun(h.Host) })
	}
	for _, left := range own.Left {
		r.Reporter.Warn("clean up: " + left.Error() + "; the next backup of this StatefulSet tries again")
	}
	if err := lease.Release(clean); err != nil {
		r.Reporter.Warn(err.Error() + "; it expires by itself")
	}
}

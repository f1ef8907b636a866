package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// askClusterWithin bounds how long a cluster is asked that is not needed otherwise, and may be gone.
const askClusterWithin = 10 * time.Second

// upkeep is how those work who remove data from a repository: the commands, and the scheduler.
type upkeep struct {
	// connect reaches the cluster that knows whether movers are gone; it may fail.
	connect func() (*cluster.Client, error)
	// note tells what a person may want to know.
	note func(text string)
	// retryLock is how long to wait for others.
	retryLock time.Duration
	// guard, if set, has do done while nobody else of the cluster begins to work on the StatefulSet, and operation is what
	// locks say that are held only then.
	guard     func(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error
	operation string
}

// upkeep is that of a command.
func (f *repositoryFlags) upkeep(a *app, lock lockFlag) *upkeep {
	return &upkeep{
		connect: func() (*cluster.Client, error) {
			client, _, err := cluster.Connect(f.kube.kubeconfig, f.kube.context)
			return client, err
		},
		note:      func(text string) { fmt.Fprintln(a.err, ui.Printable(text)) },
		retryLock: lock.limit,
	}
}

// alone does what nobody else may work beside.
func (u *upkeep) alone(ctx context.Context, points *catalog.Catalog, do func(context.Context) error) error {
	u.waitForLocks(points)
	if u.guard == nil {
		return do(ctx)
	}
	points.Repository().SetOperation(u.operation)
	return u.guard(ctx, points, do)
}

// waitForLocks has those waited for who hold a lock that is in the way. If it is one that a mover has left whose pod is
// gone, as the cluster knows, it is removed: a mover that was killed shall not keep anyone waiting for the half hour
// after which its lock is nobody's.
func (u *upkeep) waitForLocks(points *catalog.Catalog) {
	u.tellOfLocks(points)
	points.Repository().SetLockWait(repository.LockWait{Limit: u.retryLock, Blocked: func(ctx context.Context, locked error) bool {
		removed, err := u.unlockDeadMovers(ctx, points)
		for _, holder := range removed {
			u.note("Removed the lock of a dead mover: " + holder.String())
		}
		if err != nil {
			u.note("Could not check whether the mover that holds the lock still exists: " + err.Error())
		}
		if len(removed) == 0 && u.retryLock > 0 {
			u.note(waitingText(points, u.retryLock, locked))
		}
		return len(removed) > 0
	}})
}

// tellOfLocks has a person told of locks that stay although the work is done.
func (u *upkeep) tellOfLocks(points *catalog.Catalog) {
	points.Repository().SetLockLeft(func(left error) { u.note("warning: " + left.Error()) })
}

// waitingText says for whom one waits, and how long at most.
func waitingText(points *catalog.Catalog, limit time.Duration, locked error) string {
	return fmt.Sprintf("Waiting up to %s for the repository of %s: %s", limit, points.Host(), locked)
}

// unlockDeadMovers removes the locks of movers that their cluster, which must be this one, knows to be gone. Without such
// locks it asks no cluster.
func (u *upkeep) unlockDeadMovers(ctx context.Context, points *catalog.Catalog) ([]repository.Holder, error) {
	holders, err := points.Repository().Locks(ctx)
	if err != nil {
		return nil, err
	}
	isMover := func(h repository.Holder) bool {
		_, is := cluster.ParseMoverMark(h.Operation, h.Host)
		return is
	}
	if !slices.ContainsFunc(holders, isMover) {
		return nil, nil
	}
	ask, cancel := context.WithTimeout(ctx, askClusterWithin)
	defer cancel()
	client, err := u.connect()
	if err != nil {
		return nil, err
	}
	gone, unknown := deadMovers(ask, client, holders)
	removed, err := points.Unlock(ctx, func(h repository.Holder) bool { return gone[moverLock{h.Operation, h.Host}] })
	return removed, errors.Join(unknown, err)
}

// moverLock is what the lock of a mover says.
type moverLock struct{ operation, pod string }

// deadMovers are those among the holders of locks that ran in this cluster and have ended. Of a pod in another cluster, it
// means nothing that this one does not know it. The error says of which nothing could be found out.
func deadMovers(ctx context.Context, client *cluster.Client, holders []repository.Holder) (gone map[moverLock]bool, err error) {
	uid, err := client.UID(ctx)
	if err != nil {
		return nil, err
	}
	gone = map[moverLock]bool{}
	for _, h := range holders {
		mover, isMover := cluster.ParseMoverMark(h.Operation, h.Host)
		if !isMover || mover.Cluster != uid {
			continue
		}
		ended, unknown := client.PodEnded(ctx, mover.Namespace, h.Host)
		gone[moverLock{h.Operation, h.Host}] = ended
		err = errors.Join(err, unknown)
	}
	return gone, err
}

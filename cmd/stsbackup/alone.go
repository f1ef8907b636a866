package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// askClusterWithin bounds how long a cluster is asked that is not needed otherwise, and may be gone.
const askClusterWithin = 10 * time.Second

// alone does what nobody else may work beside. If a lock is in the way that a mover has left whose pod is gone, as the
// cluster knows, the lock is removed and it is tried again: a mover that was killed shall not keep anyone waiting for the
// half hour after which its lock is nobody's.
func (f *repositoryFlags) alone(ctx context.Context, a *app, points *catalog.Catalog, do func() error) error {
	err := do()
	if !errors.Is(err, repository.ErrLocked) {
		return err
	}
	removed, askErr := f.unlockDeadMovers(ctx, points)
	for _, holder := range removed {
		fmt.Fprintf(a.err, "Removed the lock that a dead mover had left: %s\n", printable(holder.String()))
	}
	if askErr != nil {
		fmt.Fprintf(a.err, "Whether a mover holds a lock that is gone could not be found out: %s\n", printable(askErr.Error()))
	}
	if len(removed) == 0 {
		return err
	}
	return do()
}

// unlockDeadMovers removes the locks of movers that the cluster knows to be gone. Without such locks it asks no cluster.
func (f *repositoryFlags) unlockDeadMovers(ctx context.Context, points *catalog.Catalog) ([]repository.Holder, error) {
	holders, err := points.Repository().Locks(ctx)
	if err != nil {
		return nil, err
	}
	if len(moverPods(holders)) == 0 {
		return nil, nil
	}
	ask, cancel := context.WithTimeout(ctx, askClusterWithin)
	defer cancel()
	client, _, err := cluster.Connect(f.kube.kubeconfig, f.kube.context)
	if err != nil {
		return nil, err
	}
	gone, err := deadMovers(ask, client, points, holders)
	if err != nil {
		return nil, err
	}
	return points.Unlock(ctx, func(h repository.Holder) bool { return gone[h.Host] && cluster.MoverPod(h.Operation, h.Host) })
}

// deadMovers are the pods among the holders that have ended. That a cluster does not know a pod means something only if
// it is the cluster that the recovery points come from.
func deadMovers(ctx context.Context, client *cluster.Client, points *catalog.Catalog, holders []repository.Holder) (map[string]bool, error) {
	uid, err := client.UID(ctx)
	if err != nil {
		return nil, err
	}
	records, err := points.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s has no recovery point yet, so it is not known which cluster it belongs to", points.Host())
	}
	if err := catalog.CheckCluster(records, uid); err != nil {
		return nil, err
	}
	namespace, _, _ := strings.Cut(points.Host(), "/")
	gone := map[string]bool{}
	for _, pod := range moverPods(holders) {
		if gone[pod], err = client.PodEnded(ctx, namespace, pod); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// moverPods names the pods of those holders that are movers.
func moverPods(holders []repository.Holder) []string {
	var pods []string
	for _, h := range holders {
		if cluster.MoverPod(h.Operation, h.Host) {
			pods = append(pods, h.Host)
		}
	}
	return pods
}

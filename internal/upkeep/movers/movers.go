package movers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// askWithin bounds how long to ask a cluster.
const askWithin = 10 * time.Second

// Cluster knows the movers of a cluster. It implements upkeep.Movers.
type Cluster struct {
	// Connect reaches the cluster; it may fail.
	Connect func() (*cluster.Client, error)
}

// Ended returns those holders of locks that are movers of this cluster and have ended. The error names those
// about which it could not find out.
func (c Cluster) Ended(ctx context.Context, holders []repository.Holder) ([]repository.Holder, error) {
	isMover := func(h repository.Holder) bool {
		_, is := cluster.ParseMoverMark(h.Operation, h.Host)
		return is
	}
	if !slices.ContainsFunc(holders, isMover) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client, err := c.Connect()
	if err != nil {
		return nil, err
	}
	uid, err := client.UID(ctx)
	if err != nil {
		return nil, err
	}
	var ended []repository.Holder
	var unknown []error
	for _, h := range holders {
		mover, isMover := cluster.ParseMoverMark(h.Operation, h.Host)
		if !isMover || mover.Cluster != uid {
			continue
		}
		gone, err := client.PodEnded(ctx, mover.Namespace, h.Host)
		if gone {
			ended = append(ended, h)
		}
		unknown = append(unknown, err)
	}
	return ended, errors.Join(unknown...)
}

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// leaseKey is the key under which contexts carry their Lease.
type leaseKey struct{}

// leaseIn is the Lease that ctx carries; nil if it carries none.
func leaseIn(ctx context.Context) *Lease {
	lease, _ := ctx.Value(leaseKey{}).(*Lease)
	return lease
}

// unfenced is ctx for requests about Leases themselves, which must not wait for a Lease.
func unfenced(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, (*Lease)(nil))
}

// timeAway is for how long, in all, the Lease that ctx carries was not believed in because the API server was away;
// zero without a Lease. The difference of two values is the part of the time between them that does not count.
func timeAway(ctx context.Context) time.Duration {
	lease := leaseIn(ctx)
	if lease == nil {
		return 0
	}
	return lease.belief.away()
}

// WithLimit ends ctx after limit (cause: context.DeadlineExceeded). Under a Lease, it does not count time in which the
// Lease is not believed in because the API server is away: nothing can be done then. outageLimit bounds such time.
func WithLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	lease := leaseIn(ctx)
	if lease == nil {
		return context.WithTimeout(ctx, limit)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	begun, away := lease.client.now(), timeAway(ctx)
	left := func() time.Duration {
		return limit - (lease.client.now().Sub(begun) - (timeAway(ctx) - away))
	}
	go func() {
		for {
			remaining := left()
			if remaining <= 0 {
				cancel(context.DeadlineExceeded)
				return
			}
			if !lease.Believed() {
				remaining = max(remaining, leaseRetry) // this time does not count
			}
			if wait.For(ctx, remaining) != nil {
				return
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Assured waits until the Lease that ctx carries is believed in, and returns a context that ends with that
// belief (cause: ErrLeaseLost). Use it for changes outside the cluster, such as locks and records in a bucket:
// nothing else there stops a holder that may no longer be alone. Without a Lease it returns ctx.
func Assured(ctx context.Context) (context.Context, context.CancelFunc, error) {
	lease := leaseIn(ctx)
	assured, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(context.Canceled) }
	if lease == nil {
		return assured, end, nil
	}
	if err := lease.awaitBelief(ctx); err != nil {
		end()
		return nil, nil, err
	}
	go func() {
		for {
			lasts, _ := lease.belief.state()
			if lasts <= 0 {
				cancel(fmt.Errorf("%w: it could not be renewed for %s", ErrLeaseLost, leaseBelief))
				return
			}
			if wait.For(assured, lasts) != nil {
				return
			}
		}
	}()
	return assured, end, nil
}

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// leaseKey is under what contexts carry their Lease.
type leaseKey struct{}

// leaseIn is the Lease under which something is done; nil if it needs none.
func leaseIn(ctx context.Context) *Lease {
	lease, _ := ctx.Value(leaseKey{}).(*Lease)
	return lease
}

// unfenced is ctx for what is asked about Leases themselves: it must not wait for one.
func unfenced(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, (*Lease)(nil))
}

// timeAway is for how long, in all, the Lease under which something is done was not believed in, because the API server was
// away; zero without a Lease. The difference of two is what does not count of the time between.
func timeAway(ctx context.Context) time.Duration {
	lease := leaseIn(ctx)
	if lease == nil {
		return 0
	}
	return lease.belief.away()
}

// WithLimit ends ctx after limit (cause: context.DeadlineExceeded). Under a Lease the time does not count for which that is
// not believed in, because the API server is away: then nothing can be done. Such time is itself limited, by outageLimit.
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
				remaining = max(remaining, leaseRetry) // it does not pass
			}
			if wait.For(ctx, remaining) != nil {
				return
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Assured waits until the Lease under which something is done is believed in, and gives a context that ends with that belief
// (cause: ErrLeaseLost). It is for what is changed outside of the cluster, such as locks and records in a bucket, where
// nothing else holds back who may not be alone any more. Without a Lease it is ctx.
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

package cluster

import (
	"context"
	"time"
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
			if pause(ctx, remaining) != nil {
				return
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

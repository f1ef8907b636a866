package s3

import (
	"context"
	"fmt"
	"time"
)

const (
	// attempts is how often to try an operation whose failure may pass: for about two minutes at most, including the
	// pauses.
	attempts = 10
	// silentAttempts is how often to try if nothing has ever answered at the endpoint: probably its address is wrong,
	// and whoever has typed it is waiting.
	silentAttempts = 3
	// contendedAttempts is how often to try if the operation may only have met another one.
	contendedAttempts = 4
	// renewalAttempts is how often to try if keys that have worked have expired: for two to four minutes. Whoever
	// renews them may be late, and a kubelet takes a minute and a half to put them where a pod sees them.
	renewalAttempts = 16

	firstPause   = 200 * time.Millisecond
	longestPause = 30 * time.Second
)

// pause is how long to wait after the n-th attempt, counted from 1: doubling, bounded, and at random between half of it
// and all of it, so that many movers that have failed together do not come back together. random is in [0, 1).
func pause(n int, random float64) time.Duration {
	longest := longestPause
	if n < 10 {
		longest = min(longest, firstPause<<(n-1))
	}
	return longest/2 + time.Duration(random*float64(longest/2))
}

// try calls attempt until it succeeds, fails for good, or the context ends. Its error is ready to be shown.
func (b *Bucket) try(ctx context.Context, c call, attempt func(context.Context) error) error {
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return b.ended(ctx, c)
		}
		err := attempt(ctx)
		if err == nil {
			b.answered.Store(true)
			b.accepted.Store(true)
			if c.action == actionPut {
				b.wrote.Store(true)
			}
			return nil
		}
		if err := b.again(ctx, c, n, err); err != nil {
			return err
		}
	}
}

// again waits until it is time for the next attempt, after the n-th has failed with err. If there should be no further
// attempt, it returns the error to show.
func (b *Bucket) again(ctx context.Context, c call, n int, err error) error {
	if ctx.Err() != nil {
		return b.ended(ctx, c)
	}
	failure := classify(err, b.facts(c))
	if failure.answer {
		b.answered.Store(true)
	}
	limit := 1
	switch {
	case failure.expired:
		b.credentials.Expire() // the next attempt looks for them again, and may find renewed ones
		if n == 1 {
			return nil
		}
		if b.accepted.Load() {
			limit = renewalAttempts
		}
	case failure.silent && !b.answered.Load():
		limit = silentAttempts
	case failure.contended:
		limit = contendedAttempts
	case failure.transient:
		limit = attempts
	}
	if n >= limit {
		return b.explain(c, failure, n)
	}
	if b.wait(ctx, pause(n, b.random())) != nil {
		return b.ended(ctx, c)
	}
	return nil
}

// ended returns the error of an operation whose context has ended.
func (b *Bucket) ended(ctx context.Context, c call) error {
	return fmt.Errorf("%s: %w", b.subject(c), context.Cause(ctx))
}

// explain makes the one line that says what failed, on which object, and what to do next.
func (b *Bucket) explain(c call, f failure, attempts int) error {
	var details string
	if f.reason != "" {
		details = ": " + f.reason
	}
	if attempts > 1 {
		details += fmt.Sprintf(" after %d attempts", attempts)
	}
	if f.advice != "" {
		details += "; " + f.advice
	}
	return fmt.Errorf("%s: %w%s", b.subject(c), f.sentinel, details)
}

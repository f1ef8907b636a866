package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// belief is what the holder of a Lease may believe about it. It begins anew with every successful renewal, and ends by itself.
type belief struct {
	now func() time.Time

	mutex sync.Mutex
	// sent is when the holder sent the last request that proved the Lease ours, not when the answer came: see doc.go.
	sent time.Time
	// absent is for how long, in all, the Lease was not believed in before sent.
	absent time.Duration
	// trouble is when the API server was last found to be out of reach.
	trouble time.Time
	// over says that the Lease was lost or given back.
	over bool
	// failure is why the last renewal failed; nil if it succeeded.
	failure error
	// changed is closed when the belief begins anew, or is over.
	changed chan struct{}
}

func newBelief(now func() time.Time, sent time.Time) *belief {
	return &belief{now: now, sent: sent, changed: make(chan struct{})}
}

// lasts is how much longer the belief holds without a renewal; zero or less means that it no longer holds.
//
// Go's monotonic clock stands still while a machine sleeps, and people can set the wall clock. lasts believes
// whichever clock has advanced further: to stop believing too early only costs a pause.
func (b *belief) lasts(now time.Time) time.Duration {
	if b.over {
		return 0
	}
	return leaseBelief - max(now.Sub(b.sent), now.Round(0).Sub(b.sent.Round(0)))
}

// holds reports whether the holder believes in the Lease.
func (b *belief) holds() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lasts(b.now()) > 0
}

// state returns how much longer the belief holds, and the channel that is closed when it begins anew.
func (b *belief) state() (time.Duration, <-chan struct{}) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lasts(b.now()), b.changed
}

// age is the time since the last successful request was sent.
func (b *belief) age() time.Duration {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.now().Sub(b.sent)
}

// away is for how long, in all, the Lease was not believed in.
func (b *belief) away() time.Duration {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.absent + b.gap(b.now())
}

// gap is for how long, at this time, the Lease has not been believed in, if it may be believed in again.
func (b *belief) gap(now time.Time) time.Duration {
	if b.over {
		return 0
	}
	return max(0, now.Sub(b.sent)-leaseBelief)
}

// renewed records that a renewal sent at that time has succeeded.
func (b *belief) renewed(sent time.Time) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	now := b.now()
	if gap := b.gap(now); gap > 0 {
		b.absent, b.trouble = b.absent+gap, now
	}
	b.sent, b.failure = sent, nil
	b.wake()
}

// failed records why a renewal has failed.
func (b *belief) failed(err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.failure = err
}

// end ends the belief for good.
func (b *belief) end() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.absent += b.gap(b.now())
	b.over = true
	b.wake()
}

func (b *belief) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// unrenewed returns since when the API server has not confirmed that the Lease is ours, and why.
func (b *belief) unrenewed() (since time.Time, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.sent, b.failure
}

// unreached records that a request has just failed because the API server is out of reach.
func (b *belief) unreached() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.trouble = b.now()
}

// settling reports whether the API server came back a moment ago.
func (b *belief) settling() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return !b.trouble.IsZero() && b.now().Sub(b.trouble) < outageSettles
}

// awaitBelief waits until the Lease is believed in. It fails when ctx ends, or when the Lease is lost or given back.
func (l *Lease) awaitBelief(ctx context.Context) error {
	for {
		lasts, changed := l.belief.state()
		if lasts > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			since, failure := l.belief.unrenewed()
			return fmt.Errorf(
				"nothing is changed while the Lease cannot be renewed (since %s: %w): %w",
				clock(since),
				cmp.Or(failure, errNoAnswer),
				context.Cause(ctx),
			)
		case <-l.kept.Done():
			return cmp.Or(l.Lost(), errors.New("the Lease was given back"))
		case <-changed:
		}
	}
}

// announce tells a person when belief ends because the Lease could not be renewed, and when the holder believes again.
func (l *Lease) announce(ctx context.Context) {
	for ctx.Err() == nil {
		lasts, changed := l.belief.state()
		if lasts > 0 {
			if wait.For(ctx, lasts) != nil {
				return
			}
			continue
		}
		since, failure := l.belief.unrenewed()
		before := l.belief.away()
		l.note(l.whyNot(since, failure))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if l.belief.holds() {
			l.note(fmt.Sprintf("%s answers again, and the Lease is still ours; going on after %s", l.client.server(),
				(leaseBelief + l.belief.away() - before).Round(time.Second)))
		}
	}
}

// whyNot explains to a person why nothing goes on.
func (l *Lease) whyNot(since time.Time, failure error) string {
	trouble := "does not answer"
	if status := apierrors.APIStatus(nil); errors.As(failure, &status) && !passing(failure) {
		trouble = "does not renew the Lease " + l.name
	}
	reason := ""
	if failure != nil {
		reason = ": " + failure.Error()
	}
	return fmt.Sprintf("%s %s (since %s%s): waiting for up to %s, in which nothing is changed; movers that run go on",
		l.client.server(), trouble, clock(since), reason, outageLimit)
}

// note tells a person the message.
func (l *Lease) note(message string) {
	l.noting.Lock()
	defer l.noting.Unlock()
	if l.waiting != nil {
		l.waiting(message)
	}
}

// clock formats a time of day for a person.
func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) + " UTC" }

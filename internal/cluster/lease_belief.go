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

// belief is what the holder of a Lease may believe about it. It begins with every renewal that succeeds, and ends by itself.
type belief struct {
	now func() time.Time

	mutex sync.Mutex
	// sent is when the last request was sent by which the Lease is known to be ours. See doc.go: not when its answer came.
	sent time.Time
	// absent is for how long, in all, the Lease was not believed in before that.
	absent time.Duration
	// trouble is when the API server was last known to be out of reach.
	trouble time.Time
	// over: the Lease was lost or given back.
	over bool
	// failure is why the last renewal failed; nil if it did not.
	failure error
	// changed is closed when the belief begins anew, or is over.
	changed chan struct{}
}

func newBelief(now func() time.Time, sent time.Time) *belief {
	return &belief{now: now, sent: sent, changed: make(chan struct{})}
}

// lasts is for how much longer the belief holds, unless it is renewed; zero or less: it does not.
//
// The clock that Go measures with stands still while a machine sleeps, the other one may be set. Whichever has gone
// further counts: to stop believing too early costs a pause.
func (b *belief) lasts(now time.Time) time.Duration {
	if b.over {
		return 0
	}
	return leaseBelief - max(now.Sub(b.sent), now.Round(0).Sub(b.sent.Round(0)))
}

// holds reports whether the Lease is believed in.
func (b *belief) holds() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lasts(b.now()) > 0
}

// state is for how much longer the belief holds, and what is closed when it begins anew.
func (b *belief) state() (time.Duration, <-chan struct{}) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.lasts(b.now()), b.changed
}

// age is how long ago the last request was sent that succeeded.
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

// gap is for how long the Lease has not been believed in at this time, and may be again.
func (b *belief) gap(now time.Time) time.Duration {
	if b.over {
		return 0
	}
	return max(0, now.Sub(b.sent)-leaseBelief)
}

// renewed takes in that a renewal which was sent at that time has succeeded.
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

// failed takes in why a renewal has failed.
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

// unrenewed is since when the API server has given no sign that the Lease is ours, and why.
func (b *belief) unrenewed() (since time.Time, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.sent, b.failure
}

// unreached takes in that a request has just failed because the API server is out of reach.
func (b *belief) unreached() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.trouble = b.now()
}

// settling reports whether the API server has come back a moment ago.
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

// announce says when the Lease has not been renewed for as long as it is believed in, and when it is again.
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

// whyNot says to a person why nothing goes on.
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

// note tells a person.
func (l *Lease) note(message string) {
	l.noting.Lock()
	defer l.noting.Unlock()
	if l.waiting != nil {
		l.waiting(message)
	}
}

// clock is a time of day for a person.
func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) + " UTC" }

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Annotations by which somebody who waits for a Lease and who has it speak to each other.
const (
	// AnnotationStepsAside is on the Lease of one who gives it back when somebody wants it: a scheduler, which comes back later.
	AnnotationStepsAside = "stsbackup.io/steps-aside"
	// AnnotationWanted says who wants the Lease.
	AnnotationWanted = "stsbackup.io/wanted-by"
)

// ErrSteppedAside is the cause of the end of the context of a Lease whose holder gives way to somebody who waits for it.
// Programs that know ErrBusy need not know this one.
var ErrSteppedAside = fmt.Errorf("%w: it was stopped to let another operation begin", ErrBusy)

// quietly is opts for one who has told a person already that somebody has the Lease.
func (opts LeaseOptions) quietly(told string) LeaseOptions {
	if told != "" {
		opts.Waiting = nil
	}
	return opts
}

// waits reports whether a newcomer who has been refused goes on waiting: for who will give the Lease back soon, or for as long
// as the newcomer has said.
func waits(refused error, other *coordinationv1.Lease, opts LeaseOptions, waited time.Duration) bool {
	return errors.Is(refused, ErrBusy) && (other.Annotations[AnnotationBrief] != "" && waited < leaseBriefMax || waited < opts.Wait)
}

// want tells the holder of the Lease that somebody waits, if that helps. It is no harm if the Lease changes meanwhile: then it
// is said the next time.
func (c *Client) want(ctx context.Context, op Operation, opts LeaseOptions) error {
	lease, err := c.getLease(ctx, op.Namespace, LeaseName(op.StatefulSet))
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Lease %s/%s: %w", op.Namespace, LeaseName(op.StatefulSet), err)
	}
	if lease.Annotations[AnnotationStepsAside] == "" || lease.Annotations[AnnotationWanted] != "" {
		return nil
	}
	lease.Annotations[AnnotationWanted] = opts.Holder
	_, err = c.updateLease(ctx, lease)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("ask who has Lease %s/%s to step aside: %w", op.Namespace, lease.Name, err)
	}
	return nil
}

// goOnWaiting is what a newcomer does who was refused and waits all the same. told is the holder that a person was told of.
func (c *Client) goOnWaiting(
	ctx context.Context,
	op Operation,
	other *coordinationv1.Lease,
	opts LeaseOptions,
	told string,
	waited time.Duration,
) (string, error) {
	if opts.Wait <= waited {
		return told, nil // for one who is brief
	}
	if opts.Waiting != nil && told != holderOf(other) {
		opts.Waiting(waitingText(op, other, (opts.Wait - waited).Round(time.Second)))
	}
	return holderOf(other), c.want(ctx, op, opts)
}

// waitingText says to a person whom a newcomer waits for.
func waitingText(op Operation, other *coordinationv1.Lease, limit time.Duration) string {
	how := "waiting for it to end"
	if other.Annotations[AnnotationStepsAside] != "" {
		how = "it has been asked to step aside"
	}
	return fmt.Sprintf("%s is held by %s: %s, for up to %s", op.Object(), holderOf(other), how, limit)
}

// stepAside ends what is done under the Lease, if its holder gives way to others and somebody wants it. The Lease itself is
// kept until the holder has cleaned up and gives it back.
func (l *Lease) stepAside() {
	if by := l.object.Annotations[AnnotationWanted]; by != "" && l.stepsAside {
		l.cancel(fmt.Errorf("%w (%s)", ErrSteppedAside, by))
	}
}

// SteppedAside says for whom the holder gives way (ErrSteppedAside), or nil if nobody has asked.
func (l *Lease) SteppedAside() error {
	if cause := context.Cause(l.ctx); errors.Is(cause, ErrSteppedAside) {
		return cause
	}
	return nil
}

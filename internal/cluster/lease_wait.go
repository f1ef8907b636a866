package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Annotations by which a Lease's holder and those who wait for the Lease talk to each other.
const (
	// AnnotationStepsAside is on the Lease of a holder that gives it back when somebody wants it: a scheduler, which tries again later.
	AnnotationStepsAside = "stsbackup.io/steps-aside"
	// AnnotationWanted says who wants the Lease.
	AnnotationWanted = "stsbackup.io/wanted-by"
)

// ErrSteppedAside is the cause with which a Lease's context ends when its holder gives way to somebody who
// waits for it. Programs that handle ErrBusy need not know this error.
var ErrSteppedAside = fmt.Errorf("%w: it was stopped to let another operation begin", ErrBusy)

// quietly returns opts that do not tell a person again who has the Lease.
func (opts LeaseOptions) quietly(told string) LeaseOptions {
	if told != "" {
		opts.Waiting = nil
	}
	return opts
}

// waits reports whether a newcomer that was refused goes on waiting: for a holder that will give the Lease back
// soon, or for as long as the newcomer's own Wait lasts.
func waits(refused error, other *coordinationv1.Lease, opts LeaseOptions, waited time.Duration) bool {
	return errors.Is(refused, ErrBusy) && (other.Annotations[AnnotationBrief] != "" && waited < leaseBriefMax || waited < opts.Wait)
}

// want tells the holder of the Lease that somebody waits, if that helps. A Lease that changes meanwhile does no
// harm: want then tells its holder the next time.
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

// goOnWaiting is what a refused newcomer does that still waits. told is the holder that it has already reported to a person.
func (c *Client) goOnWaiting(
	ctx context.Context,
	op Operation,
	other *coordinationv1.Lease,
	opts LeaseOptions,
	told string,
	waited time.Duration,
) (string, error) {
	if opts.Wait <= waited {
		return told, nil // it waits only because the holder is brief
	}
	if opts.Waiting != nil && told != holderOf(other) {
		opts.Waiting(waitingText(op, other, (opts.Wait - waited).Round(time.Second)))
	}
	return holderOf(other), c.want(ctx, op, opts)
}

// waitingText tells a person whom a newcomer waits for.
func waitingText(op Operation, other *coordinationv1.Lease, limit time.Duration) string {
	how := "waiting for it to end"
	if other.Annotations[AnnotationStepsAside] != "" {
		how = "it has been asked to step aside"
	}
	return fmt.Sprintf("%s is held by %s: %s, for up to %s", op.Object(), holderOf(other), how, limit)
}

// stepAside ends the work under the Lease, if its holder gives way to others and somebody wants the Lease. The
// holder keeps the Lease itself until it has cleaned up and gives it back.
func (l *Lease) stepAside() {
	if by := l.object.Annotations[AnnotationWanted]; by != "" && l.stepsAside {
		l.cancel(fmt.Errorf("%w (%s)", ErrSteppedAside, by))
	}
}

// SteppedAside says for whom the holder gives way (ErrSteppedAside); nil if nobody has asked.
func (l *Lease) SteppedAside() error {
	if cause := context.Cause(l.ctx); errors.Is(cause, ErrSteppedAside) {
		return cause
	}
	return nil
}

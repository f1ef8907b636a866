package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	leaseDuration = 15 * time.Second // a holder that has been still for so long is dead
	leaseRenewal  = 5 * time.Second
	leaseRetry    = time.Second // after a renewal that failed
	// leaseLost is how long a holder that cannot renew believes in its Lease: less than leaseDuration, so that it
	// has stopped before somebody else begins.
	leaseLost = 10 * time.Second
	// leaseWaitMax bounds the wait for a holder whose Lease claims an absurd duration.
	leaseWaitMax = time.Minute
	// leaseBriefMax is how long a holder is waited for that is alive, but will give the Lease back soon.
	leaseBriefMax = 2 * time.Minute
	// leaseRemovals bounds how often a Lease is tried to be deleted that is changed all the time.
	leaseRemovals = 5
)

// ErrLeaseLost is the cause of the end of a Lease's context when the Lease could not be renewed, or was taken.
var ErrLeaseLost = errors.New("the Lease was lost")

// LeaseOptions say who takes a Lease.
type LeaseOptions struct {
	// Holder is unique to this process and says to people who it is: "backup 20261121T… on host ops-1 (pid 42)".
	Holder string
	// Waiting, if set, is told why Acquire has to wait.
	Waiting func(message string)
	// Brief says that the Lease will be given back within seconds: others then wait for that, and are not refused.
	Brief bool
}

// Lease is the right to operate on one StatefulSet.
type Lease struct {
	client *Client
	holder string
	object *coordinationv1.Lease // the latest version; owned by the renewing goroutine until stopped is closed
	ctx    context.Context
	cancel context.CancelCauseFunc
	kept   context.Context // ends with the Lease alone
	drop   context.CancelCauseFunc
	quit   chan struct{}
	ended  chan struct{}
}

// LeaseName is the name of a StatefulSet's Lease, in the StatefulSet's namespace.
func LeaseName(statefulSet string) string {
	name := namePrefix + statefulSet
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return shorten(name, validation.DNS1123SubdomainMaxLength)
	}
	return name
}

// Acquire takes the Lease of the operation's StatefulSet and keeps renewing it until Release, or until it is lost. A
// *Refusal that wraps ErrBusy says that somebody alive holds it; ErrNotFound, that there is no such namespace. A holder that shows no sign of life for the Lease's duration is dead,
// and is replaced.
func (c *Client) Acquire(ctx context.Context, op Operation, opts LeaseOptions) (*Lease, error) {
	leases := c.Kube.CoordinationV1().Leases(op.Namespace)
	begun := c.now()
	for {
		taken, err := leases.Create(ctx, c.newLease(op, opts), metav1.CreateOptions{})
		if err == nil {
			return c.hold(ctx, taken, opts.Holder), nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create Lease %s/%s: %w", op.Namespace, LeaseName(op.StatefulSet), namespaceGone(op.Namespace, err))
		}
		other, err := leases.Get(ctx, LeaseName(op.StatefulSet), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Lease %s/%s: %w", op.Namespace, LeaseName(op.StatefulSet), err)
		}
		err = c.waitDead(ctx, op, other, opts)
		if errors.Is(err, ErrBusy) && other.Annotations[AnnotationBrief] != "" && c.now().Sub(begun) < leaseBriefMax {
			continue
		}
		if err != nil {
			return nil, err
		}
		// The update fails if the Lease has changed in any way since it was read: then everything starts over.
		taken = c.newLease(op, opts)
		taken.ResourceVersion = other.ResourceVersion
		taken, err = leases.Update(ctx, taken, metav1.UpdateOptions{})
		if err == nil {
			return c.hold(ctx, taken, opts.Holder), nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("take over Lease %s/%s: %w", op.Namespace, other.Name, err)
		}
	}
}

// waitDead returns nil when the holder of the Lease as it was read is gone or shows no sign of life, and a *Refusal as
// soon as it shows one. Clocks of different machines are never compared.
func (c *Client) waitDead(ctx context.Context, op Operation, other *coordinationv1.Lease, opts LeaseOptions) error {
	holder := holderOf(other)
	if holder == "" {
		return nil
	}
	duration := leaseDuration
	if other.Spec.LeaseDurationSeconds != nil {
		duration = min(leaseWaitMax, time.Duration(*other.Spec.LeaseDurationSeconds)*time.Second)
	}
	if opts.Waiting != nil {
		opts.Waiting(fmt.Sprintf("%s is held by %s; waiting up to %s to see whether it is alive", op.Object(), holder, duration))
	}
	still, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	leases := c.Kube.CoordinationV1().Leases(op.Namespace)
	v := viewOf[*coordinationv1.Lease]("Lease "+op.Namespace+"/"+other.Name, metav1.ListOptions{}, leases.List, leases.Watch)
	err := await(still, c.relist(), v.named(other.Name), func(found []*coordinationv1.Lease) (bool, error) {
		if len(found) == 0 {
			return true, nil
		}
		if holderOf(found[0]) != holder || !found[0].Spec.RenewTime.Equal(other.Spec.RenewTime) {
			return false, &Refusal{
				Object: op.Object(),
				Reason: "another operation is running: " + holderOf(found[0]),
				Next:   "wait until it has ended, then run the command again",
				Err:    ErrBusy,
			}
		}
		return false, nil
	})
	if err != nil && ctx.Err() == nil && errors.Is(still.Err(), context.DeadlineExceeded) {
		var refusal *Refusal
		if !errors.As(err, &refusal) {
			return nil
		}
	}
	return err
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func (c *Client) newLease(op Operation, opts LeaseOptions) *coordinationv1.Lease {
	now := metav1.NewMicroTime(c.now())
	seconds := int32(leaseDuration / time.Second)
	annotations := op.Annotations("")
	if opts.Brief {
		annotations[AnnotationBrief] = "true"
	}
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   op.Namespace,
			Name:        LeaseName(op.StatefulSet),
			Labels:      op.Labels(),
			Annotations: annotations,
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity:       &opts.Holder,
			LeaseDurationSeconds: &seconds,
			AcquireTime:          &now,
			RenewTime:            &now,
		},
	}
}

// hold starts to renew a Lease that has been taken.
func (c *Client) hold(ctx context.Context, object *coordinationv1.Lease, holder string) *Lease {
	lease := &Lease{client: c, holder: holder, object: object, quit: make(chan struct{}), ended: make(chan struct{})}
	lease.ctx, lease.cancel = context.WithCancelCause(ctx)
	// Renewing goes on while a cancelled operation cleans up: it ends with Release, not with ctx.
	renewing := context.WithoutCancel(ctx)
	lease.kept, lease.drop = context.WithCancelCause(renewing)
	go func() {
		defer close(lease.ended)
		if err := lease.renew(renewing); err != nil {
			lease.drop(err)
			lease.cancel(err)
		}
	}()
	return lease
}

// Context ends with the context that was given to Acquire, and when the Lease is lost (cause: ErrLeaseLost).
func (l *Lease) Context() context.Context { return l.ctx }

// Lost says why the Lease was lost (ErrLeaseLost), or nil if it was not.
func (l *Lease) Lost() error {
	if cause := context.Cause(l.kept); errors.Is(cause, ErrLeaseLost) {
		return cause
	}
	return nil
}

// Grace is a context for cleaning up, or for going on to a safe end, after ctx has ended: it lasts for limit at most,
// and ends when the Lease is lost (cause: ErrLeaseLost) or released.
func (l *Lease) Grace(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(l.kept, func() { cancel(context.Cause(l.kept)) })
	ctx, end := context.WithTimeout(ctx, limit)
	return ctx, func() {
		stop()
		end()
		cancel(context.Canceled)
	}
}

// renew returns nil after Release, or why the Lease is lost.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		err := l.renewNext(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// renewNext renews once, when it is time, and tries until it succeeds or the Lease is lost.
func (l *Lease) renewNext(ctx context.Context) error {
	// This is how long we may believe in the Lease; no try to renew it outlasts that.
	ctx, cancel := context.WithTimeout(ctx, leaseLost)
	defer cancel()
	var last error
	next := leaseRenewal
	for {
		if pause(ctx, next) != nil {
			return fmt.Errorf("%w: it could not be renewed for %s (%w)", ErrLeaseLost, leaseLost, cmp.Or(last, ctx.Err()))
		}
		final, err := l.renewOnce(ctx)
		switch {
		case err == nil:
			return nil
		case final:
			return fmt.Errorf("%w: %w", ErrLeaseLost, err)
		}
		last, next = err, leaseRetry
	}
}

// renewOnce moves the renew time. A final error says that the Lease is no longer ours.
func (l *Lease) renewOnce(ctx context.Context) (final bool, err error) {
	leases := l.client.Kube.CoordinationV1().Leases(l.object.Namespace)
	now := metav1.NewMicroTime(l.client.now())
	next := l.object.DeepCopy()
	next.Spec.RenewTime = &now
	updated, err := leases.Update(ctx, next, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		current, getErr := leases.Get(ctx, next.Name, metav1.GetOptions{})
		switch {
		case getErr == nil && holderOf(current) != l.holder:
			return true, fmt.Errorf("it is held by %s now", holderOf(current))
		case getErr == nil:
			// Only somebody's label or annotation has changed.
			l.object = current
			return false, err
		}
		err = getErr
	}
	if apierrors.IsNotFound(err) {
		return true, errors.New("it was deleted")
	}
	if err != nil {
		return false, err
	}
	l.object = updated
	return false, nil
}

// Release stops renewing and deletes the Lease, unless it is somebody else's by now. It ends the Lease's context.
func (l *Lease) Release(ctx context.Context) error {
	close(l.quit)
	<-l.ended
	defer l.cancel(context.Canceled)
	defer l.drop(context.Canceled)
	if l.Lost() != nil {
		return nil
	}
	if err := l.remove(ctx); err != nil {
		return fmt.Errorf("delete Lease %s/%s: %w", l.object.Namespace, l.object.Name, err)
	}
	return nil
}

// remove deletes the Lease, if it is still ours. A renewal that was given up may have been carried out, before this or even
// in the middle of it, and strangers may edit what is ours.
func (l *Lease) remove(ctx context.Context) error {
	leases := l.client.Kube.CoordinationV1().Leases(l.object.Namespace)
	for range leaseRemovals {
		// The version keeps us from deleting a Lease that somebody has taken over in this moment.
		err := leases.Delete(ctx, l.object.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{
			UID: &l.object.UID, ResourceVersion: &l.object.ResourceVersion,
		}})
		if apierrors.IsNotFound(err) || err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		current, err := leases.Get(ctx, l.object.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case current.UID != l.object.UID || holderOf(current) != l.holder:
			return nil
		}
		l.object = current
	}
	return errors.New("it is changed all the time")
}

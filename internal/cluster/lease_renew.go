package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// outageLimit is how long the API server may be away before an operation is given up: more than an upgrade or a
	// failover of it takes.
	outageLimit = 15 * time.Minute
	// leaseRemovals bounds how often we try to delete a Lease that somebody changes between our reads, or that gives no answer.
	leaseRemovals = 5
)

// errNoAnswer says that a request was given up because no answer had come in time. It may be carried out all the same.
var errNoAnswer = errors.New("no answer in time")

// The requests about Leases are bounded, because the time that they take is time that is not believed.

func (c *Client) createLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return answered(ctx, func(ctx context.Context) (*coordinationv1.Lease, error) {
		return c.Kube.CoordinationV1().Leases(lease.Namespace).Create(ctx, lease, metav1.CreateOptions{})
	})
}

func (c *Client) getLease(ctx context.Context, namespace, name string) (*coordinationv1.Lease, error) {
	return answered(ctx, func(ctx context.Context) (*coordinationv1.Lease, error) {
		return c.Kube.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
	})
}

func (c *Client) updateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return answered(ctx, func(ctx context.Context) (*coordinationv1.Lease, error) {
		return c.Kube.CoordinationV1().Leases(lease.Namespace).Update(ctx, lease, metav1.UpdateOptions{})
	})
}

// answered asks, and gives up when no answer comes.
func answered[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(unfenced(ctx), leaseAnswer)
	defer cancel()
	answer, err := ask(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return answer, fmt.Errorf("%w (%s)", errNoAnswer, leaseAnswer)
	}
	return answer, err
}

// renew returns nil after Release, or why the Lease is lost. Whatever fails is tried again, unless it says that the Lease
// is somebody else's: an API server that comes back may refuse everything for a moment.
func (l *Lease) renew(ctx context.Context) error {
	next := leaseRenewal - l.belief.age()
	for {
		if wait.For(ctx, next) != nil {
			return nil
		}
		sent := l.client.now()
		final, err := l.renewOnce(ctx)
		switch {
		case err == nil:
			l.belief.renewed(sent)
			next = max(leaseRetry, leaseRenewal-l.belief.age())
			continue
		case ctx.Err() != nil:
			return nil
		case final:
			return fmt.Errorf("%w: %w", ErrLeaseLost, err)
		case l.belief.age() >= outageLimit:
			return fmt.Errorf("%w: it could not be renewed for %s (%w)", ErrLeaseLost, outageLimit, err)
		}
		l.belief.failed(err)
		next = leaseRetry
	}
}

// renewOnce moves the renew time. A final error says that the Lease is no longer ours.
//
// A Lease that was deleted is not made again, also if nobody seems to have it: to delete it is how a person ends an
// operation, and after an outage it may have been taken over, used, and given back.
func (l *Lease) renewOnce(ctx context.Context) (final bool, err error) {
	now := metav1.NewMicroTime(l.client.now())
	next := l.object.DeepCopy()
	next.Spec.RenewTime = &now
	updated, err := l.client.updateLease(ctx, next)
	if apierrors.IsConflict(err) {
		current, getErr := l.client.getLease(ctx, next.Namespace, next.Name)
		switch {
		case getErr == nil && holderOf(current) != l.holder:
			return true, fmt.Errorf("it is held by %s now", holderOf(current))
		case getErr == nil && current.UID != l.object.UID:
			return true, errors.New("it was deleted and made again")
		case getErr == nil:
			// Somebody's label or annotation has changed, or a renewal without an answer was carried out.
			l.object = current
			l.stepAside()
			return false, err
		}
		err = getErr
	}
	// What stands before an API server says "not found", too, while it has none to ask.
	if apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return true, errors.New("it was deleted")
	}
	if err != nil {
		return false, err
	}
	l.object = updated
	l.stepAside()
	return false, nil
}

// Release stops renewing and deletes the Lease, unless it is somebody else's by now. It ends the Lease's context.
func (l *Lease) Release(ctx context.Context) error {
	l.quit()
	l.ended.Wait()
	l.belief.end() // before anybody can have it
	defer l.cancel(context.Canceled)
	defer l.drop(context.Canceled)
	if l.Lost() != nil {
		return nil
	}
	if err := l.remove(unfenced(ctx)); err != nil {
		return fmt.Errorf("delete Lease %s/%s: %w", l.object.Namespace, l.object.Name, err)
	}
	return nil
}

// remove deletes the Lease, if it is still ours. A renewal that was given up may have been carried out, before this or even
// in the middle of it, and strangers may edit what is ours.
func (l *Lease) remove(ctx context.Context) error {
	var last error
	for range leaseRemovals {
		done, err := l.removeOnce(ctx)
		if done {
			return err
		}
		if err == nil {
			err = fmt.Errorf("something keeps changing it; \"kubectl -n %s get lease %s -o yaml --show-managed-fields\" shows who: stop that",
				l.object.Namespace, l.object.Name)
		} else if wait.For(ctx, leaseRetry) != nil {
			return err
		}
		last = err
	}
	return last
}

// removeOnce tries to delete the Lease. If it is not done and has no error, the Lease has only changed.
func (l *Lease) removeOnce(ctx context.Context) (done bool, err error) {
	// The version keeps us from deleting a Lease that somebody has taken over in this moment.
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &l.object.UID, ResourceVersion: &l.object.ResourceVersion}}
	_, err = answered(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, l.client.Kube.CoordinationV1().Leases(l.object.Namespace).Delete(ctx, l.object.Name, options)
	})
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return true, nil
	case !apierrors.IsConflict(err):
		return !passes(ctx, err), err
	}
	current, err := l.client.getLease(ctx, l.object.Namespace, l.object.Name)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return !passes(ctx, err), err
	case current.UID != l.object.UID || holderOf(current) != l.holder:
		return true, nil
	}
	l.object = current
	return false, nil
}

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
	// outageLimit is how long the API server may be away before an operation gives up: more than an upgrade or a
	// failover of the server takes.
	outageLimit = 15 * time.Minute
	// leaseRemovals bounds how often we try to delete a Lease if others change it between our reads, or no answer comes.
	leaseRemovals = 5
)

// errNoAnswer says that we gave up on a request because no answer came in time. The server may still carry it out.
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

// answered sends the request, and gives up when no answer comes.
func answered[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(unfenced(ctx), leaseAnswer)
	defer cancel()
	answer, err := ask(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return answer, fmt.Errorf("%w (%s)", errNoAnswer, leaseAnswer)
	}
	return answer, err
}

// renew returns nil after Release, or the reason why the Lease is lost. It retries every failure unless the failure
// says that the Lease is somebody else's: an API server that comes back may refuse everything for a moment.
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

// renewOnce moves the renew time. A final error means that the Lease is no longer ours.
//
// renewOnce does not create a deleted Lease again, even if nobody seems to have it: a person ends an operation by
// deleting its Lease, and during an outage another operation may have taken the Lease over, used it, and given it back.
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
			// Somebody has changed a label or annotation, or the server carried out a renewal that it did not answer.
			l.object = current
			l.stepAside()
			return false, err
		}
		err = getErr
	}
	// A proxy in front of an API server also answers "not found" while it has no server to ask.
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

// Release stops renewing and deletes the Lease, unless somebody else has it by now. It ends the Lease's context.
func (l *Lease) Release(ctx context.Context) error {
	l.quit()
	l.ended.Wait()
	l.belief.end() // before anybody else can have it
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

// remove deletes the Lease, if it is still ours. It tries several times: the server may carry out a renewal
// that we gave up on before or even during the removal, and others may edit our Lease.
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

// removeOnce tries to delete the Lease. Neither done nor an error means that the Lease has only changed.
func (l *Lease) removeOnce(ctx context.Context) (done bool, err error) {
	// The version keeps us from deleting a Lease that somebody takes over at this moment.
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

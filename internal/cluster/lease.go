package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// leaseDuration is how long a Lease must stay unchanged before a newcomer takes it over. doc.go explains why
	// it must exceed leaseBelief, and need not exceed the time that requests take.
	leaseDuration = 15 * time.Second
	// leaseBelief is how long a holder believes in its Lease, counted from when it sent its last successful
	// request.
	leaseBelief  = 10 * time.Second
	leaseRenewal = 5 * time.Second
	leaseRetry   = time.Second // after a renewal that failed
	// leaseAnswer is how long to wait for an answer about a Lease: nobody believes what a later answer says.
	leaseAnswer = leaseBelief
	// leaseWaitMax bounds the wait for a holder whose Lease claims an absurd duration.
	leaseWaitMax = time.Minute
	// leaseBriefMax is how long to wait for a living holder that will give the Lease back soon.
	leaseBriefMax = 2 * time.Minute
)

// ErrLeaseLost is the cause with which a Lease's context ends when somebody else took or deleted the Lease, or
// when the holder could not renew it for too long.
var ErrLeaseLost = errors.New("the Lease was lost")

// LeaseOptions say who takes a Lease.
type LeaseOptions struct {
	// Holder is unique to this process and tells people who has the Lease: "backup 20261121T… on host ops-1 (pid 42)".
	Holder string
	// Waiting, if set, is told why Acquire has to wait. While the Lease is held, it is also told, possibly from
	// other goroutines, that the API server does not answer, and that it answers again.
	Waiting func(message string)
	// Brief says that the holder will give the Lease back within seconds: others then wait instead of being refused.
	Brief bool
	// Wait is how long to wait for a living holder; zero means Acquire refuses at once.
	Wait time.Duration
	// StepsAside says that the holder gives way when somebody else waits for the Lease: the Lease's context then ends.
	StepsAside bool
}

// Lease is the right to operate on one StatefulSet.
type Lease struct {
	client *Client
	name   string
	holder string
	object *coordinationv1.Lease // the latest version; owned by the renewing goroutine until that has ended
	belief *belief
	ctx    context.Context
	cancel context.CancelCauseFunc
	kept   context.Context // ends with the Lease alone
	drop   context.CancelCauseFunc
	quit   context.CancelFunc // ends the goroutines
	// stepsAside says that the context ends when somebody else wants the Lease.
	stepsAside bool
	ended      sync.WaitGroup // of the goroutines

	noting  sync.Mutex // so that only one of our goroutines calls Waiting at a time
	waiting func(message string)
}

// LeaseName is the name of a StatefulSet's Lease, in the StatefulSet's namespace.
func LeaseName(statefulSet string) string {
	name := namePrefix + statefulSet
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return shorten(name, validation.DNS1123SubdomainMaxLength)
	}
	return name
}

// Acquire takes the Lease of the operation's StatefulSet and renews it until Release, or until the Lease is lost. The
// error is a *Refusal that wraps ErrBusy if a living holder has the Lease, and wraps ErrNotFound if the namespace does
// not exist. Acquire takes a holder that shows no sign of life for the Lease's duration for dead, and replaces it.
func (c *Client) Acquire(ctx context.Context, op Operation, opts LeaseOptions) (*Lease, error) {
	begun, told := c.now(), ""
	for {
		sent := c.now()
		taken, err := c.createLease(ctx, c.newLease(op, opts))
		if err == nil {
			return c.hold(ctx, taken, opts, sent), nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create Lease %s/%s: %w", op.Namespace, LeaseName(op.StatefulSet), namespaceGone(op.Namespace, err))
		}
		other, err := c.getLease(ctx, op.Namespace, LeaseName(op.StatefulSet))
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Lease %s/%s: %w", op.Namespace, LeaseName(op.StatefulSet), err)
		}
		other, err = c.waitDead(ctx, op, other, opts.quietly(told))
		if waited := c.now().Sub(begun); waits(err, other, opts, waited) {
			if told, err = c.goOnWaiting(ctx, op, other, opts, told, waited); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// The update fails if the Lease has changed in any way since we read it: then everything starts over.
		taken = c.newLease(op, opts)
		taken.UID, taken.ResourceVersion = other.UID, other.ResourceVersion
		sent = c.now()
		taken, err = c.updateLease(ctx, taken)
		if err == nil {
			return c.hold(ctx, taken, opts, sent), nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("take over Lease %s/%s: %w", op.Namespace, other.Name, err)
		}
	}
}

// waitDead returns the Lease when its holder is gone or has shown no sign of life since we read the Lease, and a *Refusal
// as soon as the holder shows one. It never compares clocks of different machines. A holder that we cannot see is not dead:
// if the API server did not answer meanwhile, the wait starts over, so that after an outage the old holders come first.
func (c *Client) waitDead(
	ctx context.Context,
	op Operation,
	other *coordinationv1.Lease,
	opts LeaseOptions,
) (*coordinationv1.Lease, error) {
	holder := holderOf(other)
	if holder == "" || holder == opts.Holder { // ours: an answer to us was late
		return other, nil
	}
	duration := leaseDuration
	if other.Spec.LeaseDurationSeconds != nil {
		duration = min(leaseWaitMax, max(leaseDuration, time.Duration(*other.Spec.LeaseDurationSeconds)*time.Second))
	}
	if opts.Waiting != nil {
		opts.Waiting(fmt.Sprintf("%s is held by %s; waiting up to %s to see whether it is alive", op.Object(), holder, duration))
	}
	alive := func(now *coordinationv1.Lease) error {
		if holderOf(now) == holder && now.UID == other.UID && now.Spec.RenewTime.Equal(other.Spec.RenewTime) {
			return nil
		}
		return &Refusal{
			Object: op.Object(),
			Reason: "another operation is running: " + holderOf(now),
			Next:   "wait until it has ended, then run the command again",
			Err:    ErrBusy,
		}
	}
	for begun := c.now(); ; {
		patient := c.now().Sub(begun) < awaitPatience
		gone, seen, err := c.stillFor(ctx, other, duration, alive)
		if err != nil || gone {
			return other, err
		}
		if !seen && patient {
			continue
		}
		current, err := c.getLease(ctx, op.Namespace, other.Name)
		switch {
		case err == nil:
			return other, alive(current)
		case apierrors.IsNotFound(err):
			return other, nil
		case !patient || !passes(ctx, err):
			return other, fmt.Errorf("read Lease %s/%s: %w", op.Namespace, other.Name, err)
		}
		if err := wait.For(ctx, leaseRetry); err != nil {
			return other, fmt.Errorf("read Lease %s/%s: %w", op.Namespace, other.Name, err)
		}
	}
}

// stillFor watches a Lease for as long as d, until the Lease is gone, or until alive says that its holder is alive. If the API
// server was unreachable in between, stillFor reports that the Lease was not seen: a living holder could not show itself either.
func (c *Client) stillFor(ctx context.Context, other *coordinationv1.Lease, d time.Duration,
	alive func(*coordinationv1.Lease) error,
) (gone, seen bool, err error) {
	still, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	leases := c.Kube.CoordinationV1().Leases(other.Namespace)
	list := func(ctx context.Context, options metav1.ListOptions) (*coordinationv1.LeaseList, error) {
		found, err := leases.List(ctx, options)
		seen = seen && (err == nil || still.Err() != nil)
		return found, err
	}
	v := viewOf[*coordinationv1.Lease]("Lease "+other.Namespace+"/"+other.Name, metav1.ListOptions{}, list, leases.Watch)
	seen = true
	err = await(unfenced(still), c.relist(), v.named(other.Name), func(found []*coordinationv1.Lease) (bool, error) {
		if gone = len(found) == 0; gone {
			return true, nil
		}
		return false, alive(found[0])
	})
	if err != nil && ctx.Err() == nil && errors.Is(still.Err(), context.DeadlineExceeded) && !errors.Is(err, ErrBusy) {
		return false, seen, nil
	}
	return gone, seen, err
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
	if opts.StepsAside {
		annotations[AnnotationStepsAside] = "true"
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

// hold starts to renew a Lease that a request sent at that time has taken.
func (c *Client) hold(ctx context.Context, object *coordinationv1.Lease, opts LeaseOptions, sent time.Time) *Lease {
	lease := &Lease{
		client: c, name: object.Name, object: object, holder: opts.Holder, stepsAside: opts.StepsAside, waiting: opts.Waiting,
		belief: newBelief(c.now, sent),
	}
	lease.ctx, lease.cancel = context.WithCancelCause(context.WithValue(ctx, leaseKey{}, lease))
	// Renewing goes on while a cancelled operation cleans up: it ends with Release, not with ctx.
	lease.kept, lease.drop = context.WithCancelCause(context.WithoutCancel(ctx))
	renewing, quit := context.WithCancel(unfenced(context.WithoutCancel(ctx)))
	lease.quit = quit
	lease.ended.Go(func() {
		defer quit()
		if err := lease.renew(renewing); err != nil {
			quit()
			lease.belief.end()
			lease.drop(err)
			lease.cancel(err)
		}
	})
	lease.ended.Go(func() { lease.announce(renewing) })
	return lease
}

// Context ends when the context that was given to Acquire ends, or when the Lease is lost (cause:
// ErrLeaseLost). It carries the Lease: requests under it wait while the API server is away, and requests that
// change something wait while the holder does not believe in the Lease.
func (l *Lease) Context() context.Context { return l.ctx }

// Lost says why the Lease was lost (ErrLeaseLost); nil if it was not. An API server that is away does not lose the Lease.
func (l *Lease) Lost() error {
	if cause := context.Cause(l.kept); errors.Is(cause, ErrLeaseLost) {
		return cause
	}
	return nil
}

// Believed reports whether, as far as the holder knows, nobody else can hold the Lease at this moment.
func (l *Lease) Believed() bool { return l.belief.holds() }

// Grace is a context to clean up in, or to reach a safe end, after ctx has ended. It lasts for at most limit,
// not counting time in which the holder does not believe in the Lease. It ends when the Lease is lost (cause:
// ErrLeaseLost) or released. It carries the Lease as Context does.
func (l *Lease) Grace(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), leaseKey{}, l))
	stop := context.AfterFunc(l.kept, func() { cancel(context.Cause(l.kept)) })
	ctx, end := WithLimit(ctx, limit)
	return ctx, func() {
		stop()
		end()
		cancel(context.Canceled)
	}
}

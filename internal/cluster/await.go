package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// awaitTick is how often a wait checks its condition again while nothing changes: conditions may depend on time.
	awaitTick = time.Second
	// awaitRetry is the pause after a transient API error.
	awaitRetry = time.Second
	// awaitPatience is how long the API server may be out of reach before a wait gives up. A wait under a Lease
	// goes on for as long as the Lease is kept.
	awaitPatience = 2 * time.Minute
	// awaitAnswer is how long to wait for an answer. This limit is how we notice a connection that died silently.
	awaitAnswer = 30 * time.Second
)

// rhythm holds the timing of a wait.
type rhythm struct {
	// relist is how long to trust a quiet watch.
	relist time.Duration
	now    func() time.Time
}

// view is a set of objects of one kind that can be listed and watched.
type view[T metav1.Object] struct {
	what    string
	options metav1.ListOptions
	list    func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch   func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// match narrows the set further; nil takes all.
	match func(T) bool
}

// viewOf makes a view of a typed client's List and Watch.
func viewOf[T metav1.Object, L runtime.Object](what string, options metav1.ListOptions,
	list func(context.Context, metav1.ListOptions) (L, error),
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error),
) view[T] {
	return view[T]{
		what:    what,
		options: options,
		list:    func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) },
		watch:   watch,
	}
}

// named narrows a view to the object of that name.
func (v view[T]) named(name string) view[T] {
	v.options.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	v.match = func(object T) bool { return object.GetName() == name }
	return v
}

// await calls check with the view's objects, sorted by name: now, after every change, and at least once a
// second, until check reports done or fails. It retries transient API errors for as long as its patience lasts.
func await[T metav1.Object](ctx context.Context, r rhythm, v view[T], check func([]T) (bool, error)) error {
	patience := awaitPatience
	if leaseIn(ctx) != nil {
		patience = outageLimit
	}
	answered := r.now() // when the server last answered
	for {
		objects, version, err := v.read(ctx)
		var done bool
		switch {
		case err == nil:
			if done, err = check(sorted(objects)); done || err != nil {
				return err
			}
			answered = r.now()
			done, err = v.follow(ctx, r.relist, objects, version, check)
			if done || err != nil && !passes(ctx, err) {
				return err
			}
			if err == nil {
				answered = r.now()
				continue
			}
		case ctx.Err() != nil:
			return fmt.Errorf("wait for %s: %w", v.what, context.Cause(ctx))
		}
		if !passes(ctx, err) || r.now().Sub(answered) >= patience {
			return fmt.Errorf("read %s: %w", v.what, err)
		}
		if err := wait.For(ctx, awaitRetry); err != nil {
			return fmt.Errorf("wait for %s: %w", v.what, err)
		}
	}
}

// read lists the view.
func (v view[T]) read(ctx context.Context) (map[string]T, string, error) {
	limited, answered := awaitAnswered(ctx)
	defer answered()
	list, err := v.list(limited, v.options)
	if err != nil {
		return nil, "", unanswered(ctx, limited, err)
	}
	objects := map[string]T{}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(T)
		if !ok {
			return fmt.Errorf("unexpected %T", item)
		}
		if v.match == nil || v.match(object) {
			objects[object.GetName()] = object
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, "", err
	}
	return objects, accessor.GetResourceVersion(), nil
}

// follow watches from version on and calls check. It returns false and nil when the caller should list the view again.
func (v view[T]) follow(ctx context.Context, relist time.Duration, objects map[string]T, version string,
	check func([]T) (bool, error),
) (bool, error) {
	options := v.options
	options.ResourceVersion = version
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slow := answerTimer(ctx, cancel)
	watcher, err := v.watch(watching, options)
	slow()
	if err != nil {
		if ctx.Err() != nil {
			return false, fmt.Errorf("wait for %s: %w", v.what, context.Cause(ctx))
		}
		return false, fmt.Errorf("watch %s: %w", v.what, unanswered(ctx, watching, err))
	}
	defer watcher.Stop()
	tick := time.NewTicker(awaitTick)
	defer tick.Stop()
	stale := time.NewTimer(relist)
	defer stale.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for %s: %w", v.what, context.Cause(ctx))
		case <-stale.C:
			return false, nil
		case <-tick.C:
		case event, open := <-watcher.ResultChan():
			if !open || event.Type == watch.Error {
				// The server closed the watch, or the version is too old. List again, but never in a tight loop.
				return false, wait.For(ctx, awaitRetry/10)
			}
			object, ok := event.Object.(T)
			if !ok || v.match != nil && !v.match(object) {
				continue
			}
			if event.Type == watch.Deleted {
				delete(objects, object.GetName())
			} else {
				objects[object.GetName()] = object
			}
		}
		if done, err := check(sorted(objects)); done || err != nil {
			return true, err
		}
	}
}

func sorted[T metav1.Object](objects map[string]T) []T {
	all := make([]T, 0, len(objects))
	for _, object := range objects {
		all = append(all, object)
	}
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

// awaitAnswered returns a context for one request; it ends when no answer comes in time.
func awaitAnswered(ctx context.Context) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithCancelCause(ctx)
	stop := answerTimer(ctx, cancel)
	return limited, func() {
		stop()
		cancel(nil)
	}
}

// answerTimer gives up on a request when no answer comes in time. Under a Lease, the transport does that itself.
func answerTimer(ctx context.Context, giveUp context.CancelCauseFunc) (stop func()) {
	if leaseIn(ctx) != nil {
		return func() {}
	}
	timer := time.AfterFunc(awaitAnswer, func() { giveUp(errNoAnswer) })
	return func() { timer.Stop() }
}

// unanswered returns err, or, if the request was given up because no answer came, an error that says so.
func unanswered(ctx, request context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(context.Cause(request), errNoAnswer) {
		return fmt.Errorf("%w (%s)", errNoAnswer, awaitAnswer)
	}
	return err
}

// passes reports whether an error of a request under ctx is transient.
func passes(ctx context.Context, err error) bool {
	// A dial that takes too long also reports an exceeded deadline, which is not the deadline of ctx.
	return ctx.Err() == nil && (passing(err) || errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded))
}

// passing reports whether an API error is transient: the server restarts, is overloaded or out of reach.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsResourceExpired(err) ||
		apierrors.IsGone(err) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsProbableEOF(err) || errors.As(err, &network)
}

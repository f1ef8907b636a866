package cluster

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// podsThat is a view of pods whose requests call these functions.
func podsThat(list func(context.Context) error, watching func(context.Context) error) view[*corev1.Pod] {
	return view[*corev1.Pod]{
		what: "pods",
		list: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			return &corev1.PodList{}, list(ctx)
		},
		watch: func(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
			if err := watching(ctx); err != nil {
				return nil, err
			}
			return watch.NewFake(), nil
		},
	}
}

func answersAtOnce(context.Context) error { return nil }

func answersNever(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// after returns a function for requests that fail like this, each after a while.
func after(d time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if ended := wait.For(ctx, d); ended != nil {
			return ctx.Err()
		}
		return err
	}
}

// TestAwaitIsPatientByTheClock, however long each attempt takes; under a Lease, for as long as an outage may last.
func TestAwaitIsPatientByTheClock(t *testing.T) {
	dial := after(30*time.Second, &timeoutError{})
	for name, tt := range map[string]struct {
		list, watch func(context.Context) error
		lease       bool
		want        time.Duration
	}{
		"refused":                       {after(0, syscall.ECONNREFUSED), answersAtOnce, false, awaitPatience},
		"no answer":                     {answersNever, answersAtOnce, false, awaitPatience},
		"a dial that takes too long":    {dial, answersAtOnce, false, awaitPatience},
		"a watch without an answer":     {answersAtOnce, answersNever, false, 0}, // each list is an answer
		"refused, under a Lease":        {after(0, syscall.ECONNREFUSED), answersAtOnce, true, outageLimit},
		"slowly refused, under a Lease": {after(20*time.Second, syscall.ECONNREFUSED), answersAtOnce, true, outageLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := fakeCluster()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if tt.lease {
					lease, err := c.Acquire(ctx, testOperation(), LeaseOptions{Holder: "us"})
					if err != nil {
						t.Fatal(err)
					}
					ctx = lease.Context()
					defer func() { _ = lease.Release(t.Context()) }()
				}
				begun, looked := time.Now(), 0
				err := await(ctx, c.relist(), podsThat(tt.list, tt.watch), func([]*corev1.Pod) (bool, error) {
					looked++
					return looked == 20, nil
				})
				took := time.Since(begun)
				if tt.want == 0 {
					if err != nil || took > 20*(awaitAnswer+awaitRetry) {
						t.Errorf("%v after %s and %d looks", err, took, looked)
					}
					return
				}
				if err == nil || errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil || took < tt.want ||
					took > tt.want+awaitAnswer+awaitRetry {
					t.Errorf("%v after %s, want that it gives up after %s", err, took, tt.want)
				}
			})
		})
	}
}

// timeoutError is the error of a dial that takes too long: it calls itself an exceeded deadline, but not the context's.
type timeoutError struct{}

// Error and the other methods are like those of package net.
func (*timeoutError) Error() string { return "i/o timeout" }

// Timeout is true.
func (*timeoutError) Timeout() bool { return true }

// Temporary is true.
func (*timeoutError) Temporary() bool { return true }

// Is is like the one of package net.
func (*timeoutError) Is(err error) bool { return err == context.DeadlineExceeded }

// TestAwaitForgetsTroubleThatIsOver: patience counts from the last answer.
func TestAwaitForgetsTroubleThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		begun := time.Now()
		list := func(context.Context) error {
			if time.Since(begun)%(100*time.Second) < 90*time.Second {
				return apierrors.NewServiceUnavailable("down")
			}
			return nil
		}
		err := await(t.Context(), c.relist(), podsThat(list, answersAtOnce), func([]*corev1.Pod) (bool, error) {
			return time.Since(begun) > 10*time.Minute, nil
		})
		if err != nil {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}

// TestWithinDoesNotCountAnOutage: a wait that takes long because the API server was away has not failed.
func TestWithinDoesNotCountAnOutage(t *testing.T) {
	for name, tt := range map[string]struct {
		lease bool
		want  time.Duration
	}{
		"without a Lease": {false, time.Minute},
		"under a Lease":   {true, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster()
				away := outage(kube, apierrors.NewServiceUnavailable("down"))
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if tt.lease {
					ctx = lease.Context()
				}
				away.Store(true)
				time.AfterFunc(5*time.Minute, func() { away.Store(false) })
				begun := time.Now()
				err = within(ctx, time.Minute, func(ctx context.Context) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}, func(context.Context) string { return "it takes too long" })
				if took := time.Since(begun); err == nil || err.Error() != "it takes too long (waited 1m0s)" || took < tt.want-leaseBelief ||
					took > tt.want+leaseBelief {
					t.Errorf("%v after %s, want %s", err, took, tt.want)
				}
				away.Store(false)
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

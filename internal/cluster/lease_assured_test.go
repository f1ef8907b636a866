package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestLimitsHoldWithoutLease: once there is no Lease any more, time counts again.
func TestLimitsHoldWithoutLease(t *testing.T) {
	for name, lose := range map[string]func(*atomic.Bool, *Lease) error{
		"given back": func(_ *atomic.Bool, l *Lease) error { return l.Release(context.Background()) },
		"lost": func(away *atomic.Bool, l *Lease) error {
			away.Store(true)
			<-l.Context().Done()
			return l.Release(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster()
				away := outage(kube, apierrors.NewServiceUnavailable("down"))
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				ctx, end := WithLimit(context.WithoutCancel(lease.Context()), time.Minute)
				defer end()
				if err := lose(away, lease); err != nil {
					t.Fatal(err)
				}
				over := time.Now()
				<-ctx.Done()
				if took := time.Since(over); took > time.Minute {
					t.Errorf("ended %s after the Lease", took)
				}
			})
		})
	}
}

// TestAssured: work outside the cluster begins and ends with the belief.
func TestAssured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		away := outage(kube, apierrors.NewServiceUnavailable("down"))
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		alone, end, err := Assured(lease.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Minute)
		if alone.Err() != nil {
			t.Errorf("ended by %v although the Lease is renewed", context.Cause(alone))
		}
		away.Store(true)
		<-alone.Done()
		if cause := context.Cause(alone); !errors.Is(cause, ErrLeaseLost) || lease.Lost() != nil {
			t.Errorf("ended by %v; lost: %v", cause, lease.Lost())
		}
		end()
		begun := time.Now()
		time.AfterFunc(time.Minute, func() { away.Store(false) })
		if _, end, err = Assured(lease.Context()); err != nil || !lease.Believed() || time.Since(begun) < time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		end()
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if _, _, err := Assured(context.WithoutCancel(lease.Context())); err == nil {
			t.Error("assured of a Lease that was given back")
		}
		if without, end, err := Assured(t.Context()); err != nil || without.Err() != nil {
			t.Errorf("without a Lease: %v, %v", err, without.Err())
		} else {
			end()
		}
	})
}

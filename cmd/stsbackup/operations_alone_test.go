package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestOperationsEndWithTheirLease: whoever removes data from a repository stops before another may have the Lease, and with it
// the right to remove the lock that keeps others away.
func TestOperationsEndWithTheirLease(t *testing.T) {
	s := newKeeper(t)
	synctest.Test(t, func(t *testing.T) {
		kube := fake.NewClientset()
		var away atomic.Bool
		kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return away.Load(), nil, apierrors.NewServiceUnavailable("down")
		})
		o := &operations{app: &app{getenv: func(string) string { return "" }}, client: &cluster.Client{Kube: kube}}
		op := cluster.Operation{ID: "20261121T120000Z-0001", Kind: "prune", Namespace: "demo", StatefulSet: "web"}
		begun := time.Now()
		err := o.withLease(t.Context(), op, "c", s.points, func(ctx context.Context) error {
			away.Store(true)
			<-ctx.Done()
			away.Store(false)
			return ctx.Err()
		})
		if took := time.Since(begun); !errors.Is(err, cluster.ErrLeaseLost) || took > 10*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if err := o.withLease(t.Context(), op, "c", s.points, func(context.Context) error { return nil }); err != nil {
			t.Errorf("the next time: %v", err)
		}
	})
}

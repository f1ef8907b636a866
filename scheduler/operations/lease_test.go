package operations

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// emptyRepository is the repository of demo/web, without recovery points.
func emptyRepository(t *testing.T) *catalog.Catalog {
	t.Helper()
	points, err := catalog.OpenOrCreate(t.Context(), storagetest.NewMemory(), "demo", "web", repository.Secret("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func toPrune() cluster.Operation {
	return cluster.Operation{ID: "20261121T120000Z-0001", Kind: "prune", Namespace: "demo", StatefulSet: "web"}
}

// TestOperationsEndWithTheirLease: an operation that removes data from a repository stops before somebody else may hold
// the Lease, and with it the right to remove the lock that keeps others away.
func TestOperationsEndWithTheirLease(t *testing.T) {
	points := emptyRepository(t)
	synctest.Test(t, func(t *testing.T) {
		kube := fake.NewClientset()
		var away atomic.Bool
		kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return away.Load(), nil, apierrors.NewServiceUnavailable("down")
		})
		o := New(Config{Cluster: &cluster.Client{Kube: kube}, Holder: "me", Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
		begun := time.Now()
		err := o.withLease(t.Context(), toPrune(), "c", points, func(ctx context.Context) error {
			away.Store(true)
			<-ctx.Done()
			away.Store(false)
			return ctx.Err()
		})
		if took := time.Since(begun); !errors.Is(err, cluster.ErrLeaseLost) || took > 10*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if err := o.withLease(t.Context(), toPrune(), "c", points, func(context.Context) error { return nil }); err != nil {
			t.Errorf("the next time: %v", err)
		}
	})
}

// TestLeaseLeft: if a Lease could not be given back, the work has not failed, but somebody else will have to wait.
func TestLeaseLeft(t *testing.T) {
	points := emptyRepository(t)
	synctest.Test(t, func(t *testing.T) {
		kube := fake.NewClientset()
		var done atomic.Bool
		kube.PrependReactor("*", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return done.Load(), nil, apierrors.NewServiceUnavailable("down")
		})
		var log strings.Builder
		o := New(Config{Cluster: &cluster.Client{Kube: kube}, Holder: "me", Log: slog.New(slog.NewTextHandler(&log, nil))})
		err := o.withLease(t.Context(), toPrune(), "c", points, func(context.Context) error {
			done.Store(true)
			return nil
		})
		if text := log.String(); err != nil || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "it expires by itself") ||
			!strings.Contains(text, "statefulSet=web") {
			t.Errorf("%v; said %s", err, text)
		}
	})
}

package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

func TestRunStopsWhenTheLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			_, err := s.kube.Tracker().Get(coordinationv1.SchemeGroupVersion.WithResource("leases"), "demo", "stsbackup-web")
			return err != nil, nil, err
		})
		s.on = func(what string) {
			if what != "www-web-0 move" {
				return
			}
			leases := s.kube.CoordinationV1().Leases("demo")
			if err := leases.Delete(context.Background(), "stsbackup-web", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
		_, err := s.run(t.Context(), t)
		if !errors.Is(err, cluster.ErrLeaseLost) || len(s.repo.committed) != 0 {
			t.Errorf("error %v, committed %d", err, len(s.repo.committed))
		}
	})
}

// TestCommitWaitsForTheLease: the record is not written while another operation might work on the repository.
func TestCommitWaitsForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.moves = time.Minute
		begun := time.Now()
		var away atomic.Bool
		s.kube.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return away.Load(), nil, apierrors.NewServiceUnavailable("down")
		})
		var committed time.Duration
		s.on = func(what string) {
			switch what {
			case "www-web-1 move":
				away.Store(true)
				time.AfterFunc(5*time.Minute, func() { away.Store(false) })
			case "commit":
				committed = time.Since(begun)
				if away.Load() {
					t.Error("committed while the API server was away")
				}
			}
		}
		record, err := s.run(t.Context(), t)
		if err != nil || record == nil || committed < 6*time.Minute {
			t.Errorf("%v: committed after %s, in which the API server was away for five minutes", err, committed)
		}
		if !slices.ContainsFunc(s.did, func(what string) bool { return strings.Contains(what, "does not answer") }) {
			t.Errorf("nobody was told: %q", s.did)
		}
	})
}

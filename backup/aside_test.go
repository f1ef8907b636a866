package backup

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestRunStepsAside: a backup that steps aside ends when somebody waits for the StatefulSet, and says for whom.
func TestRunStepsAside(t *testing.T) {
	for _, steps := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			s.stepsAside = steps
			s.moves = time.Minute
			s.kube.PrependReactor("update", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
				lease := action.(clienttesting.UpdateAction).GetObject().DeepCopyObject().(*coordinationv1.Lease)
				lease.Annotations[cluster.AnnotationWanted] = "restore by somebody"
				return true, lease, nil
			})
			record, err := s.run(t.Context(), t)
			if !steps {
				if err != nil || record == nil {
					t.Errorf("a backup that does not step aside: %v", err)
				}
				return
			}
			if !errors.Is(err, cluster.ErrSteppedAside) || !strings.Contains(err.Error(), "restore by somebody") || len(s.repo.committed) != 0 {
				t.Errorf("error %v, committed %d", err, len(s.repo.committed))
			}
		})
	}
}

package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// widen gives the StatefulSet of the stage a third ordinal.
func (s *stage) widen(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	sts, err := s.kube.AppsV1().StatefulSets("demo").Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sts.Spec.Replicas = new(int32(3))
	claim, err := s.kube.CoreV1().PersistentVolumeClaims("demo").Get(ctx, "www-web-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claim.Name = "www-web-2"
	_, err = s.kube.AppsV1().StatefulSets("demo").Update(ctx, sts, metav1.UpdateOptions{})
	if _, claimErr := s.kube.CoreV1().PersistentVolumeClaims("demo").Create(ctx, claim, metav1.CreateOptions{}); err != nil ||
		claimErr != nil {
		t.Fatal(err, claimErr)
	}
	if s.ends == nil {
		return
	}
	s.ends["www-web-2"] = corev1.ContainerStateTerminated{Message: `{"repositorySnapshot":"of www-web-2","files":1,"bytes":5,"bytesStored":4}`}
}

// most is how many volumes were moved at once at most, and the order in which they began.
func (s *stage) most() (most int, order []string) {
	moving := map[string]bool{}
	for _, what := range s.did {
		claim, stage, _ := strings.Cut(what, " ")
		switch report.Stage(stage) {
		case report.StagePrepare:
			if !slices.Contains(order, claim) {
				moving[claim], order = true, append(order, claim)
			}
		case report.StageDone, report.StageFailed:
			delete(moving, claim)
		}
		most = max(most, len(moving))
	}
	return most, order
}

// TestRunParallel moves three volumes.
func TestRunParallel(t *testing.T) {
	for parallel, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 3, 9: 3} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				s.widen(t)
				s.parallel = parallel
				record, err := s.run(t.Context(), t)
				if err != nil {
					t.Fatal(err)
				}
				most, order := s.most()
				if most != want {
					t.Errorf("%d at once, want %d", most, want)
				}
				if got := strings.Join(order, " "); want == 1 && got != "www-web-0 www-web-1 www-web-2" {
					t.Errorf("moved %s", got)
				}
				for i, v := range record.Volumes {
					if want := fmt.Sprintf("www-web-%d", i); v.Claim != want || v.RepositorySnapshot != "of "+want ||
						record.State != catalog.StateComplete {
						t.Errorf("volume %d of the %s record: %+v", i, record.State, v)
					}
				}
			})
		})
	}
}

// TestRunParallelKeepsWhatCouldBeSaved makes the first of two volumes that are moved at once fail.
func TestRunParallelKeepsWhatCouldBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.widen(t)
		s.parallel = 2
		s.fails["www-web-0"] = errors.New("disk on fire")
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		if record.State != catalog.StateIncomplete || !strings.Contains(record.Volumes[0].Error, "disk on fire") ||
			record.Volumes[1].RepositorySnapshot == "" || record.Volumes[2].RepositorySnapshot == "" {
			t.Errorf("record %+v", record)
		}
	})
}

// TestRunParallelInterrupted leaves nothing of the movers that run at once (run checks that), and begins no other.
func TestRunParallelInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.widen(t)
		s.parallel = 2
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.on = func(what string) {
			if most, _ := s.most(); most == 2 && strings.HasSuffix(what, " move") {
				cancel()
			}
		}
		record, err := s.run(ctx, t)
		if _, order := s.most(); !errors.Is(err, context.Canceled) || record != nil || len(order) != 2 {
			t.Errorf("error %v, record %v, began %q", err, record, order)
		}
	})
}

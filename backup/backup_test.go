package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestRun: the steps are the same whoever saves.
func TestRun(t *testing.T) {
	for name, stageOf := range map[string]func(*testing.T) *stage{"a saver": newStage, "movers": newMoverStage} {
		t.Run(name, func(t *testing.T) { testRunOf(t, stageOf) })
	}
}

func testRunOf(t *testing.T, stageOf func(*testing.T) *stage) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := stageOf(t)
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"www-web-0 capture", "www-web-0 wait", "www-web-1 capture", "www-web-1 wait",
			"www-web-0 prepare", "www-web-0 move", "www-web-0 done", "www-web-1 prepare", "www-web-1 move", "www-web-1 done",
			"commit",
		}
		if !slices.Equal(s.did, want) {
			t.Errorf("did %q, want %q", s.did, want)
		}
		if want := []report.Phase{PhasePlan, PhaseCapture, PhaseMove, PhaseCommit, PhaseCleanup}; !slices.Equal(s.phases, want) {
			t.Errorf("phases %q, want %q", s.phases, want)
		}
		if record.State != catalog.StateComplete || len(s.repo.committed) != 1 || len(s.repo.manifests) != 5 {
			t.Errorf("record %+v, committed %d, manifests %d", record, len(s.repo.committed), len(s.repo.manifests))
		}
		for i, claim := range []string{"www-web-0", "www-web-1"} {
			if v := record.Volumes[i]; v.Claim != claim || v.RepositorySnapshot != "of "+claim || v.Stored != 4 || v.Cut.IsZero() {
				t.Errorf("volume %+v", v)
			}
		}
	})
}

func TestRunKeepsWhatCouldBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.fails["www-web-0"] = errors.New("disk on fire")
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		if record.State != catalog.StateIncomplete || !strings.Contains(record.Volumes[0].Error, "disk on fire") ||
			record.Volumes[1].RepositorySnapshot == "" {
			t.Errorf("record %+v", record)
		}
	})
}

// TestRunTellsWhatStays: a lock that a mover could not remove causes a warning, and the volume is saved.
func TestRunTellsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.ends["www-web-0"] = corev1.ContainerStateTerminated{
			Message: `{"repositorySnapshot":"of www-web-0","files":1,"warnings":["the lock stays"]}`,
		}
		record, err := s.run(t.Context(), t)
		if err != nil || record.State != catalog.StateComplete {
			t.Fatalf("record %+v, %v", record, err)
		}
		if told := "note warning: claim www-web-0 is saved, but the lock stays"; !slices.Contains(s.did, told) {
			t.Errorf("nobody was told %q:\n%s", told, strings.Join(s.did, "\n"))
		}
	})
}

// TestRunTellsWhatIsLeftBehind: what a saver cannot remove causes a warning, and the volume is saved.
func TestRunTellsWhatIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.untidy = errors.New("the pod is still there")
		record, err := s.run(t.Context(), t)
		if err != nil || record.State != catalog.StateComplete {
			t.Fatalf("record %+v, %v", record, err)
		}
		if told := "note warning: the pod is still there"; !slices.Contains(s.did, told) {
			t.Errorf("nobody was told %q:\n%s", told, strings.Join(s.did, "\n"))
		}
	})
}

// TestRunLiveIsOfWhenReadingBegan: a volume that is not cut has its state from when reading began, not from when its turn came.
func TestRunLiveIsOfWhenReadingBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.method, s.starts, s.moves = method.Live, 30*time.Second, time.Minute
		begun := time.Now()
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{30 * time.Second, 2 * time.Minute} {
			if cut := record.Volumes[i].Cut.Sub(begun); cut < want || cut > want+time.Second || record.Volumes[i].Capture != catalog.CaptureLive {
				t.Errorf("volume %d is of %s after the start, want %s: %+v", i, cut, want, record.Volumes[i])
			}
		}
		if record.Skew < 90*time.Second || record.Skew > 91*time.Second {
			t.Errorf("skew %s", record.Skew)
		}
	})
}

func TestRunWithoutAnythingSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		for _, claim := range []string{"www-web-0", "www-web-1"} {
			s.fails[claim] = errors.New("disk on fire")
		}
		if _, err := s.run(t.Context(), t); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("error %v, want the movers' own", err)
		}
		if len(s.repo.committed) != 0 {
			t.Errorf("committed %+v", s.repo.committed)
		}
	})
}

func TestRunInterrupted(t *testing.T) {
	for _, moment := range []string{"www-web-0 capture", "www-web-1 wait", "www-web-0 prepare", "www-web-0 move", "www-web-1 move"} {
		t.Run(moment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMoverStage(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s.on = func(what string) {
					if what == moment {
						cancel()
					}
				}
				record, err := s.run(ctx, t)
				if !errors.Is(err, context.Canceled) || record != nil || len(s.repo.committed) != 0 {
					t.Errorf("error %v, record %v, committed %d", err, record, len(s.repo.committed))
				}
			})
		})
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	s := newMoverStage(t)
	record, err := s.engine.Run(
		t.Context(),
		Request{Namespace: "demo", StatefulSet: "web", Capture: capture.Options{Method: method.Auto}, DryRun: true},
	)
	if err != nil || record != nil {
		t.Fatalf("record %v, error %v", record, err)
	}
	for _, action := range slices.Concat(s.kube.Actions(), s.snapshots.Actions()) {
		create, isCreate := action.(clienttesting.CreateActionImpl)
		dry := isCreate && len(create.CreateOptions.DryRun) > 0
		if verb := action.GetVerb(); verb != "get" && verb != "list" && !dry {
			t.Errorf("did %s %s", verb, action.GetResource().Resource)
		}
	}
}

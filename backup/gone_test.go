package backup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
)

// TestRunWhoseNamespaceGoes deletes the namespace at several moments. The message names it.
func TestRunWhoseNamespaceGoes(t *testing.T) {
	for _, moment := range []string{"plan", "www-web-0 capture", "www-web-0 prepare"} {
		t.Run(moment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMoverStage(t)
				gone := false
				s.on = func(what string) {
					if what != moment || gone {
						return
					}
					gone = true
					ctx := context.Background()
					err := errors.Join(s.kube.CoreV1().Namespaces().Delete(ctx, "demo", metav1.DeleteOptions{}),
						s.kube.AppsV1().StatefulSets("demo").Delete(ctx, "web", metav1.DeleteOptions{}))
					if err != nil {
						t.Error(err)
					}
					refuse := func(clienttesting.Action) (bool, runtime.Object, error) {
						return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "demo")
					}
					for _, resource := range []string{"leases", "volumesnapshots", "jobs", "persistentvolumeclaims"} {
						s.kube.PrependReactor("create", resource, refuse)
						s.snapshots.PrependReactor("create", resource, refuse)
					}
				}
				record, err := s.run(t.Context(), t)
				if record != nil || !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "namespace demo: not found") ||
					len(s.repo.committed) != 0 {
					t.Errorf("record %v, %v", record, err)
				}
			})
		})
	}
}

// TestRunWhoseNamespaceGoesAfterThePlan: nothing can be created in a namespace that is being deleted; no advice can repair that refusal.
func TestRunWhoseNamespaceGoesAfterThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.kube.PrependReactor("create", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
			namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"} // a reactor may not use the client
			if err := s.kube.Tracker().Delete(namespaces, "", "demo"); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"}, "mover",
				errors.New("unable to create new content in namespace demo because it is being terminated"))
		})
		if _, err := s.run(t.Context(), t); !errors.Is(err, cluster.ErrNotFound) || err.Error() != "namespace demo: not found" {
			t.Error(err)
		}
	})
}

// TestRunOfWhatIsBeingDeleted: the error says that the StatefulSet is being deleted, without advice to repair what goes with it.
func TestRunOfWhatIsBeingDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		ctx := t.Context()
		web, err := s.kube.AppsV1().StatefulSets("demo").Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		claims, err := s.kube.CoreV1().PersistentVolumeClaims("demo").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range claims.Items {
			if err := s.kube.CoreV1().PersistentVolumeClaims("demo").Delete(ctx, claim.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.run(ctx, t); err == nil || errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "none of its claims") {
			t.Errorf("without claims: %v", err)
		}
		web.Finalizers, web.DeletionTimestamp = []string{"example.com/hold"}, &metav1.Time{Time: time.Now()}
		if _, err := s.kube.AppsV1().StatefulSets("demo").Update(ctx, web, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		const want = "StatefulSet demo/web: not found: it is being deleted"
		if _, err := s.run(ctx, t); !errors.Is(err, cluster.ErrNotFound) || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	})
}

// TestRunSaysWhatAMoverWaitsFor: the volume's progress says what its mover waits for.
func TestRunSaysWhatAMoverWaitsFor(t *testing.T) {
	var told []report.Progress
	progress := &moverProgress{
		tell:  func(p report.Progress) { told = append(told, p) },
		state: report.Progress{Claim: "www-web-0", Stage: report.StageMove},
	}
	progress.line([]byte(`{"waiting":"repository is locked"}`))
	progress.line([]byte(`{"files":1,"bytes":2}`))
	if len(told) != 2 || told[0].Stage != report.StagePrepare || told[0].Waiting != "repository is locked" ||
		told[1].Stage != report.StageMove ||
		told[1].Waiting != "" {
		t.Errorf("%+v", told)
	}
}

// TestRunHandsTheWaitOn gives movers the limit of the command.
func TestRunHandsTheWaitOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		var args []string
		s.kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
			args = jobArgs(action)
			return false, nil, nil
		})
		if _, err := s.run(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(args, " "); !strings.Contains(text, "--retry-lock 1m30s") {
			t.Errorf("mover runs %s", text)
		}
	})
}

func jobArgs(action clienttesting.Action) []string {
	return action.(clienttesting.CreateAction).GetObject().(*batchv1.Job).Spec.Template.Spec.Containers[0].Args
}

// TestRunPlansAgain replaces a claim while the backup waits out the Lease of a dead operation.
func TestRunPlansAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		dead := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "stsbackup-web"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("restore"), RenewTime: new(metav1.NowMicro())},
		}
		if err := s.kube.Tracker().Add(dead); err != nil {
			t.Fatal(err)
		}
		s.on = func(what string) {
			if !strings.Contains(what, "is held by restore") {
				return
			}
			claims := s.kube.CoreV1().PersistentVolumeClaims("demo")
			claim, err := claims.Get(context.Background(), "www-web-1", metav1.GetOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			claim.Labels = map[string]string{"made": "again"}
			if _, err := claims.Update(context.Background(), claim, metav1.UpdateOptions{}); err != nil {
				t.Error(err)
			}
		}
		record, err := s.run(t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		if record.Volumes[1].Labels["made"] != "again" {
			t.Errorf("the record knows the claim as it was before the Lease: %+v", record.Volumes[1])
		}
	})
}

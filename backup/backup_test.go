package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// stage is a cluster that plays the parts of a CSI driver, the Job controller and the kubelet.
type stage struct {
	stepsAside bool
	kube       *fake.Clientset
	snapshots  *snapshotfake.Clientset
	engine     *Engine
	repo       *fakeRepository
	// ends gives a mover's end by the claim it saves: exit code and termination message.
	ends map[string]corev1.ContainerStateTerminated
	// did lists what happened, in order.
	did []string
	// on is called with each of them.
	on func(string)
	// phases are those that have begun, parallel is what is asked for.
	phases   []report.Phase
	parallel int
	moves    time.Duration // how long a mover runs; zero is ten seconds
	// deny is what the API server says to a dry run.
	deny   func(runtime.Object) error
	dryRun bool
}

func (s *stage) happened(what string) {
	s.did = append(s.did, what)
	if s.on != nil {
		s.on(what)
	}
}

// happenedQuietly is happened for what is not listed.
func (s *stage) happenedQuietly(what string) {
	if s.on != nil {
		s.on(what)
	}
}

// Phase, Note, Warn and Volume make a stage the engine's Reporter.
func (s *stage) Phase(phase report.Phase) { s.phases = append(s.phases, phase) }

func (s *stage) Note(message string) { s.happened("note " + message) }

func (s *stage) Warn(message string) { s.happened("note warning: " + message) }

func (s *stage) Volume(p report.Progress) {
	if what := fmt.Sprintf("%s %s", p.Claim, p.Stage); len(s.did) == 0 || s.did[len(s.did)-1] != what {
		s.happened(what)
	}
}

// Commit makes a stage see when the record is written.
func (s *stage) Commit(ctx context.Context, record catalog.Record, manifests map[string][]byte) error {
	s.happened("commit")
	return s.repo.Commit(ctx, record, manifests)
}

func (s *stage) SetOperation(operation string) { s.repo.SetOperation(operation) }

func (s *stage) Unlock(ctx context.Context, gone func(repository.Holder) bool) ([]repository.Holder, error) {
	return s.repo.Unlock(ctx, gone)
}

func (s *stage) List(ctx context.Context) ([]catalog.Record, error) { return s.repo.List(ctx) }

// Open and OpenOrCreate make it the engine's Repositories.
func (s *stage) Open(context.Context) (Repository, error) { return s, nil }

func (s *stage) OpenOrCreate(context.Context) (Repository, error) { return s, nil }

// newStage puts testInventory on a stage.
func newStage(t *testing.T) *stage {
	t.Helper()
	inventory := testInventory()
	objects := []runtime.Object{inventory.StatefulSet, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "demo"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "cluster-uid"}}, &inventory.StorageClasses[0]}
	for _, pod := range inventory.Pods {
		objects = append(objects, pod)
	}
	for _, claim := range inventory.Claims {
		objects = append(objects, claim)
	}
	for _, volume := range inventory.Volumes {
		objects = append(objects, volume)
	}
	s := &stage{
		kube: fake.NewClientset(objects...), snapshots: snapshotfake.NewSimpleClientset(&inventory.Classes[0]),
		repo: &fakeRepository{}, ends: map[string]corev1.ContainerStateTerminated{},
	}
	s.engine = &Engine{
		Cluster:      &cluster.Client{Kube: s.kube, Snapshots: drySnapshots{s.snapshots, s}, Relist: time.Second},
		Repositories: s, Now: time.Now, Random: strings.NewReader("????"), Reporter: s,
		Planned: func(*Plan) { s.happenedQuietly("plan") },
	}
	s.engine.Saver = &Movers{Cluster: s.engine.Cluster}
	s.ends[""] = corev1.ContainerStateTerminated{Message: `{"probe":"ok"}`} // of a probe
	for _, claim := range []string{"www-web-0", "www-web-1"} {
		s.ends[claim] = corev1.ContainerStateTerminated{
			Message: fmt.Sprintf(`{"repositorySnapshot":"of %s","files":1,"bytes":5,"bytesStored":4}`, claim),
		}
	}
	s.snapshots.PrependReactor("create", "volumesnapshots", func(action clienttesting.Action) (bool, runtime.Object, error) {
		vs := action.(clienttesting.CreateAction).GetObject().(*snapshotv1.VolumeSnapshot)
		vs.Status = &snapshotv1.VolumeSnapshotStatus{
			CreationTime: new(metav1.Now()), ReadyToUse: new(true), BoundVolumeSnapshotContentName: new("content-" + vs.Name),
		}
		return false, nil, nil
	})
	dry := func(action clienttesting.Action) (bool, runtime.Object, error) {
		create := action.(clienttesting.CreateActionImpl)
		if len(create.CreateOptions.DryRun) == 0 {
			return false, nil, nil
		}
		if s.deny == nil {
			return true, create.Object, nil
		}
		return true, create.Object, s.deny(create.Object)
	}
	s.kube.PrependReactor("create", "*", dry)
	watchSelected(s.kube)
	s.kube.PrependReactor("patch", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		go s.runPod(action.(clienttesting.PatchAction).GetName())
		return false, nil, nil
	})
	return s
}

// runPod plays the pod of a Job: it runs for ten seconds.
func (s *stage) runPod(job string) {
	ctx, pods := context.Background(), s.kube.CoreV1().Pods("demo")
	object, err := s.kube.BatchV1().Jobs("demo").Get(ctx, job, metav1.GetOptions{})
	if err != nil {
		return
	}
	template := object.Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: job + "-pod", Labels: template.Labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
	set := func(state corev1.ContainerState) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "mover", State: state}}
	}
	set(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return
	}
	if _, err := s.kube.BatchV1().Jobs("demo").Get(ctx, job, metav1.GetOptions{}); err != nil {
		// The Job was deleted while its pod was being made: the garbage collector's part.
		_ = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{})
		return
	}
	<-time.After(cmp.Or(s.moves, 10*time.Second))
	end := s.ends[object.Labels[cluster.LabelClaim]]
	set(corev1.ContainerState{Terminated: &end})
	_, _ = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

// run makes a backup and then demands that nothing of it is left in the cluster.
func (s *stage) run(ctx context.Context, t *testing.T) (*catalog.Record, error) {
	t.Helper()
	record, err := s.engine.Run(ctx, Request{
		Namespace:            "demo",
		StatefulSet:          "web",
		Capture:              capture.Options{Method: method.Auto},
		Holder:               "test",
		SnapshotTimeout:      time.Minute,
		SnapshotReadyTimeout: 10 * time.Minute,
		Mover: cluster.MoverConfig{
			Image: "stsbackup:test",
		},
		Parallel:   s.parallel,
		RetryLock:  90 * time.Second,
		DryRun:     s.dryRun,
		StepsAside: s.stepsAside,
	})
	<-time.After(time.Minute) // until the pods have played to their end
	var left []string
	for _, list := range []func() (runtime.Object, error){
		func() (runtime.Object, error) {
			return s.kube.BatchV1().Jobs("demo").List(context.Background(), metav1.ListOptions{})
		},
		func() (runtime.Object, error) {
			return s.kube.CoreV1().Secrets("demo").List(context.Background(), metav1.ListOptions{})
		},
		func() (runtime.Object, error) {
			return s.kube.CoreV1().ServiceAccounts("demo").List(context.Background(), metav1.ListOptions{})
		},
		func() (runtime.Object, error) {
			return s.kube.CoordinationV1().Leases("demo").List(context.Background(), metav1.ListOptions{})
		},
		func() (runtime.Object, error) {
			return s.kube.CoreV1().PersistentVolumeClaims("demo").List(context.Background(), metav1.ListOptions{LabelSelector: cluster.LabelManagedBy})
		},
		func() (runtime.Object, error) {
			return s.kube.CoreV1().Pods("demo").List(context.Background(), metav1.ListOptions{LabelSelector: cluster.LabelManagedBy})
		},
		func() (runtime.Object, error) {
			return s.snapshots.SnapshotV1().VolumeSnapshots("demo").List(context.Background(), metav1.ListOptions{})
		},
	} {
		objects, listErr := list()
		if listErr != nil {
			t.Fatal(listErr)
		}
		items, listErr := runtimeNames(objects)
		if listErr != nil {
			t.Fatal(listErr)
		}
		left = append(left, items...)
	}
	if len(left) > 0 {
		t.Errorf("left in the cluster: %q", left)
	}
	return record, err
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
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
		s.ends["www-web-0"] = corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: `{"error":"disk on fire"}`}
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

// TestRunTellsWhatStays: a lock that a mover could not remove is a warning, and the volume is saved.
func TestRunTellsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
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

func TestRunWithoutAnythingSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		for _, claim := range []string{"www-web-0", "www-web-1"} {
			s.ends[claim] = corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: `{"error":"disk on fire"}`}
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
				s := newStage(t)
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

// TestCommitWaitsForTheLease: the record is not written while another operation might be at work on the repository.
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

func TestDryRunChangesNothing(t *testing.T) {
	s := newStage(t)
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

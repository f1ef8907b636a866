package backup

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// stage is a cluster that plays a CSI driver, with a Saver that saves nothing. See newMoverStage for a stage that runs movers.
type stage struct {
	method     method.Method // zero is method.Auto
	stepsAside bool
	kube       *fake.Clientset
	snapshots  *snapshotfake.Clientset
	engine     *Engine
	repo       *fakeRepository
	// fails are the errors of saving volumes, by claim; at "" is the error of probing.
	fails map[string]error
	// starts is how long a saver, or a mover, takes to begin; moves, how long it then reads. Zero moves means ten seconds.
	starts, moves time.Duration
	// untidy is what a saver leaves behind.
	untidy error
	// ends says how a mover ends, by the claim that it saves: exit code and termination message.
	ends map[string]corev1.ContainerStateTerminated
	// did lists what happened, in order.
	did []string
	// on is called with each of these.
	on func(string)
	// phases are the phases that have begun; parallel is what the request asks for.
	phases   []report.Phase
	parallel int
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

// happenedQuietly is happened for events that are not listed.
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

// Commit records when the record is written.
func (s *stage) Commit(ctx context.Context, record catalog.Record, manifests map[string][]byte) error {
	s.happened("commit")
	return s.repo.Commit(ctx, record, manifests)
}

func (s *stage) SetOperation(operation string) { s.repo.SetOperation(operation) }

func (s *stage) Unlock(ctx context.Context, gone func(repository.Holder) bool) ([]repository.Holder, error) {
	return s.repo.Unlock(ctx, gone)
}

func (s *stage) List(ctx context.Context) ([]catalog.Record, error) { return s.repo.List(ctx) }

// Open and OpenOrCreate make a stage the engine's Repositories.
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
		repo: &fakeRepository{}, fails: map[string]error{},
	}
	s.engine = &Engine{
		Cluster:      &cluster.Client{Kube: s.kube, Snapshots: drySnapshots{s.snapshots, s}, Relist: time.Second},
		Repositories: s, Now: time.Now, Random: strings.NewReader("????"), Reporter: s,
		Planned: func(*Plan) { s.happenedQuietly("plan") },
	}
	s.engine.Saver = stageSaver{s}
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
	return s
}

// run makes a backup, and then checks that nothing of the backup is left in the cluster.
func (s *stage) run(ctx context.Context, t *testing.T) (*catalog.Record, error) {
	t.Helper()
	record, err := s.engine.Run(ctx, Request{
		Namespace:            "demo",
		StatefulSet:          "web",
		Capture:              capture.Options{Method: cmp.Or(s.method, method.Auto)},
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
	<-time.After(time.Minute) // until the pods have reached their end
	var left []string
	ours := metav1.ListOptions{LabelSelector: cluster.LabelManagedBy}
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
			return s.kube.CoreV1().PersistentVolumeClaims("demo").List(context.Background(), ours)
		},
		func() (runtime.Object, error) {
			return s.kube.CoreV1().Pods("demo").List(context.Background(), ours)
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

// stageSaver is the Saver of a stage.
type stageSaver struct{ *stage }

// Makes returns nothing.
func (stageSaver) Makes(Target, *Volume, capture.Source) []cluster.Candidate { return nil }

// Save reads for as long as the stage says. The source must be there while it does.
func (s stageSaver) Save(ctx context.Context, target Target, v *Volume, source capture.Source, tell func(report.Progress)) (Saved, error) {
	progress := report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StagePrepare}
	for _, step := range []struct {
		stage report.Stage
		takes time.Duration
	}{{report.StagePrepare, s.starts}, {report.StageMove, cmp.Or(s.moves, 10*time.Second)}} {
		progress.Stage = step.stage
		tell(progress)
		if _, err := s.kube.CoreV1().PersistentVolumeClaims(target.Operation.Namespace).Get(ctx, source.Claim, metav1.GetOptions{}); err != nil {
			return Saved{}, err
		}
		select {
		case <-ctx.Done():
			return Saved{}, context.Cause(ctx)
		case <-time.After(step.takes):
		}
	}
	if err := s.fails[v.Claim]; err != nil {
		return Saved{}, err
	}
	return Saved{Result: archive.Result{RepositorySnapshot: "of " + v.Claim, Files: 1, Bytes: 5, BytesStored: 4}, Untidy: s.untidy}, nil
}

// Probe fails as the stage says.
func (s stageSaver) Probe(context.Context, Target, *Volume) error { return s.fails[""] }

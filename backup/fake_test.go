package backup

import (
	"context"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	snapshotclient "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned"
	snapshottyped "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/typed/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// fakeRepositories opens repo; without one, it returns err, or says that there is none.
type fakeRepositories struct {
	repo *fakeRepository
	err  error
}

func (f fakeRepositories) Open(context.Context) (Repository, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case f.repo == nil:
		return nil, repository.ErrNoRepository
	default:
		return f.repo, nil
	}
}

func (f fakeRepositories) OpenOrCreate(ctx context.Context) (Repository, error) { return f.Open(ctx) }

type fakeRepository struct {
	records   []catalog.Record
	listErr   error
	committed []catalog.Record
	manifests map[string][]byte
	locks     []repository.Holder
	operation string
}

func (f *fakeRepository) SetOperation(operation string) { f.operation = operation }

func (f *fakeRepository) Unlock(_ context.Context, gone func(repository.Holder) bool) (removed []repository.Holder, err error) {
	for _, holder := range f.locks {
		if gone(holder) {
			removed = append(removed, holder)
		}
	}
	f.locks = slices.DeleteFunc(f.locks, gone)
	return removed, nil
}

func (f *fakeRepository) List(context.Context) ([]catalog.Record, error) { return f.records, f.listErr }

func (f *fakeRepository) Commit(_ context.Context, record catalog.Record, manifests map[string][]byte) error {
	f.committed, f.manifests = append(f.committed, record), manifests
	return nil
}

// drySnapshots are fake VolumeSnapshots that are not created in a dry run; the fake itself ignores dry runs.
type drySnapshots struct {
	snapshotclient.Interface
	stage *stage
}

func (d drySnapshots) SnapshotV1() snapshottyped.SnapshotV1Interface {
	return dryGroup{d.Interface.SnapshotV1(), d.stage}
}

type dryGroup struct {
	snapshottyped.SnapshotV1Interface
	stage *stage
}

func (d dryGroup) VolumeSnapshots(namespace string) snapshottyped.VolumeSnapshotInterface {
	return dryCuts{d.SnapshotV1Interface.VolumeSnapshots(namespace), d.stage}
}

type dryCuts struct {
	snapshottyped.VolumeSnapshotInterface
	stage *stage
}

func (d dryCuts) Create(
	ctx context.Context,
	vs *snapshotv1.VolumeSnapshot,
	options metav1.CreateOptions,
) (*snapshotv1.VolumeSnapshot, error) {
	if len(options.DryRun) == 0 {
		return d.VolumeSnapshotInterface.Create(ctx, vs, options)
	}
	if d.stage.deny == nil {
		return vs, nil
	}
	return vs, d.stage.deny(vs)
}

// watchSelected makes a watch of pods respect its selector, which an API server does and the fake does not.
func watchSelected(kube *fake.Clientset) {
	kube.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		all, err := kube.Tracker().Watch(action.GetResource(), action.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		selector := action.(clienttesting.WatchAction).GetWatchRestrictions().Labels
		selected := &selectedWatch{all: all, events: make(chan watch.Event), stop: make(chan struct{})}
		go selected.pass(func(event watch.Event) bool {
			pod, ok := event.Object.(*corev1.Pod)
			return ok && selector.Matches(labels.Set(pod.Labels))
		})
		return true, selected, nil
	})
}

// selectedWatch passes on some of the events of a watch.
type selectedWatch struct {
	all    watch.Interface
	events chan watch.Event
	stop   chan struct{}
}

func (w *selectedWatch) ResultChan() <-chan watch.Event { return w.events }

func (w *selectedWatch) Stop() {
	close(w.stop)
	w.all.Stop()
}

func (w *selectedWatch) pass(selected func(watch.Event) bool) {
	for {
		select {
		case <-w.stop:
			return
		case event := <-w.all.ResultChan():
			if !selected(event) {
				continue
			}
			select {
			case <-w.stop:
				return
			case w.events <- event:
			}
		}
	}
}

// runtimeNames names the objects of a list.
func runtimeNames(list runtime.Object) (names []string, err error) {
	err = meta.EachListItem(list, func(object runtime.Object) error {
		accessor, err := meta.Accessor(object)
		if err == nil {
			names = append(names, fmt.Sprintf("%T %s", object, accessor.GetName()))
		}
		return err
	})
	return names, err
}

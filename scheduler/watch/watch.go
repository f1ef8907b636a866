package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/policy"
)

// Watch follows the StatefulSets of a cluster.
type Watch struct {
	factory      informers.SharedInformerFactory
	statefulSets cache.SharedIndexInformer
	changed      chan struct{}
	// nothing says why a StatefulSet has nothing to back up; it judges by the replicas and the number of
	// volumeClaimTemplates.
	nothing func(*appsv1.StatefulSet) string

	mutex sync.Mutex
	// namespaces is nil as long as no policy asks for their labels.
	namespaces cache.SharedIndexInformer
	failure    error
}

// New prepares to watch the StatefulSets of a namespace, or of all namespaces if it is empty. nothing says why a
// StatefulSet has nothing to back up, "" if it has something. Of the spec it sees only the replicas, and the right
// number of empty volumeClaimTemplates.
func New(kube kubernetes.Interface, namespace string, nothing func(*appsv1.StatefulSet) string) (*Watch, error) {
	w := &Watch{
		nothing: nothing,
		factory: informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithNamespace(namespace), informers.WithTransform(slim)),
		changed: make(chan struct{}, 1),
	}
	w.statefulSets = w.factory.Apps().V1().StatefulSets().Informer()
	return w, w.prepare(w.statefulSets)
}

// Start begins to watch. The watch ends with ctx; Stop waits until it has.
func (w *Watch) Start(ctx context.Context) { w.factory.StartWithContext(ctx) }

// Stop waits until what Start began has ended, after its context has ended.
func (w *Watch) Stop() { w.factory.Shutdown() }

// prepare makes an informer announce changes that matter, and report its errors.
func (w *Watch) prepare(informer cache.SharedIndexInformer) error {
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		w.mutex.Lock()
		w.failure = err
		w.mutex.Unlock()
		cache.DefaultWatchErrorHandler(ctx, r, err)
	})
	if err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.wake() },
		DeleteFunc: func(any) { w.wake() },
		UpdateFunc: func(before, after any) {
			if differ(before, after) {
				w.wake()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	return nil
}

// differ reports whether anything that the scheduler looks at has changed.
func differ(before, after any) bool {
	a, okA := before.(metav1.Object)
	b, okB := after.(metav1.Object)
	return !okA || !okB || a.GetUID() != b.GetUID() || (a.GetDeletionTimestamp() == nil) != (b.GetDeletionTimestamp() == nil) ||
		!maps.Equal(a.GetLabels(), b.GetLabels()) ||
		a.GetAnnotations()[policy.Annotation] != b.GetAnnotations()[policy.Annotation] ||
		resized(before, after)
}

// resized reports whether a StatefulSet that had nothing to back up may have something now, or the other way round.
func resized(before, after any) bool {
	a, okA := before.(*appsv1.StatefulSet)
	b, okB := after.(*appsv1.StatefulSet)
	return okA && okB && (cluster.Replicas(a) != cluster.Replicas(b) ||
		len(a.Spec.VolumeClaimTemplates) != len(b.Spec.VolumeClaimTemplates))
}

func (w *Watch) wake() {
	select {
	case w.changed <- struct{}{}:
	default: // nobody has looked since the last change
	}
}

// Changed has a value after what StatefulSets returns has changed.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Synced reports whether the watch knows everything that exists.
func (w *Watch) Synced() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.statefulSets.HasSynced() && (w.namespaces == nil || w.namespaces.HasSynced())
}

// Failure is the API server's last error when something could not be listed or watched; nil if that never happened.
func (w *Watch) Failure() error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.failure
}

// Await returns when the watch knows everything that exists.
func (w *Watch) Await(ctx context.Context) error {
	const every = 50 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !w.Synced() {
		select {
		case <-ctx.Done():
			return errors.Join(w.explain(), ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

// explain says what prevents the watch from knowing the cluster.
func (w *Watch) explain() error {
	err := w.Failure()
	switch {
	case err == nil:
		return errors.New("the API server has not yet said which StatefulSets there are")
	case apierrors.IsForbidden(err):
		return fmt.Errorf("watch the cluster: %w; name one namespace with -n, or see deploy/base/clusterrole.yaml for what this takes", err)
	default:
		return fmt.Errorf("watch the cluster: %w", err)
	}
}

// NeedNamespaces watches namespaces from now on, if it does not do so yet, and returns when it knows them. After an
// error it does not watch them.
func (w *Watch) NeedNamespaces(ctx context.Context, kube kubernetes.Interface) error {
	w.mutex.Lock()
	known := w.namespaces != nil
	w.mutex.Unlock()
	if known {
		return nil
	}
	// Try once beforehand: an informer that may not list would try for ever.
	if _, err := kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		if apierrors.IsForbidden(err) {
			return fmt.Errorf(
				"read the labels of namespaces, by which a policy selects: %w; select by their names, or see deploy/base/clusterrole.yaml for what "+
					"this takes",
				err,
			)
		}
		return fmt.Errorf("read the labels of namespaces: %w", err)
	}
	informer := w.factory.Core().V1().Namespaces().Informer()
	if err := w.prepare(informer); err != nil {
		return err
	}
	w.mutex.Lock()
	w.namespaces = informer
	w.mutex.Unlock()
	return nil
}

// StatefulSets returns the present StatefulSets. One that is being deleted no longer counts: its pods and claims go,
// and a namespace can be stuck in that state for days.
func (w *Watch) StatefulSets() []scheduler.StatefulSet {
	w.mutex.Lock()
	namespaces := w.namespaces
	w.mutex.Unlock()
	var sets []scheduler.StatefulSet
	for _, item := range w.statefulSets.GetStore().List() {
		set, ok := item.(*appsv1.StatefulSet)
		if !ok || set.DeletionTimestamp != nil {
			continue
		}
		found := scheduler.StatefulSet{
			StatefulSet: policy.StatefulSet{Namespace: set.Namespace, Name: set.Name, Labels: set.Labels, Annotations: set.Annotations},
			UID:         string(set.UID),
			Created:     set.CreationTimestamp.Time,
			Nothing:     w.nothing(set),
		}
		if namespaces != nil {
			if item, exists, err := namespaces.GetStore().GetByKey(set.Namespace); err == nil && exists {
				if namespace, ok := item.(*corev1.Namespace); ok {
					found.NamespaceLabels = namespace.Labels
				}
			}
		}
		sets = append(sets, found)
	}
	return sets
}

// slim keeps only those parts of an object that the scheduler looks at.
func slim(item any) (any, error) {
	keep := func(m metav1.ObjectMeta) metav1.ObjectMeta {
		kept := metav1.ObjectMeta{
			Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, CreationTimestamp: m.CreationTimestamp,
			DeletionTimestamp: m.DeletionTimestamp, Labels: m.Labels,
		}
		if name, annotated := m.Annotations[policy.Annotation]; annotated {
			kept.Annotations = map[string]string{policy.Annotation: name}
		}
		return kept
	}
	switch object := item.(type) {
	case *appsv1.StatefulSet:
		return &appsv1.StatefulSet{ObjectMeta: keep(object.ObjectMeta), Spec: appsv1.StatefulSetSpec{
			Replicas: object.Spec.Replicas, VolumeClaimTemplates: make([]corev1.PersistentVolumeClaim, len(object.Spec.VolumeClaimTemplates)),
		}}, nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: keep(object.ObjectMeta)}, nil
	default:
		return item, nil // this announces a deletion that the watch missed
	}
}

package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// world is a cluster in memory whose controllers act at once after every change: StatefulSet controller,
// garbage collection by retention policy, volume binder, provisioner, reclaim policies. The data of a volume is
// a string, and deleting the volume deletes the string.
type world struct {
	t       *testing.T
	kube    *fake.Clientset
	tracker k8stesting.ObjectTracker
	serial  int
	data    map[string]string // by PersistentVolume
	marks   map[string]string // by volume: the operation that began to fill it last
	used    map[string]bool   // claims that a mover has mounted
	lost    []string          // what was on volumes that were deleted
	wished  []string          // what was deleted because a person deleted its claim
	wrote   map[string]bool   // what pods have written
	loop    func()            // what somebody does all the time, after every call
	lock    sync.Mutex        // guards everything while the engine works

	calls int
	// fault is called before (carriedOut: false) and after every call.
	fault func(call int, action k8stesting.Action, carriedOut bool) error
}

const ns = "demo"

var (
	setGVR    = appsv1.SchemeGroupVersion.WithResource("statefulsets")
	podGVR    = corev1.SchemeGroupVersion.WithResource("pods")
	claimGVR  = corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	volumeGVR = corev1.SchemeGroupVersion.WithResource("persistentvolumes")
)

func newWorld(t *testing.T, objects ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, data: map[string]string{}, used: map[string]bool{}, marks: map[string]string{}, wrote: map[string]bool{}}
	// Not the clientset's own tracker: it also keeps managed fields, which costs many times as much.
	w.kube = &fake.Clientset{}
	w.tracker = k8stesting.NewObjectTracker(scheme.Scheme, scheme.Codecs.UniversalDecoder())
	w.kube.PrependWatchReactor("*", func(action k8stesting.Action) (bool, watch.Interface, error) {
		watcher, err := w.tracker.Watch(action.GetResource(), action.GetNamespace())
		return true, watcher, err
	})
	react := k8stesting.ObjectReaction(w.tracker)
	w.kube.PrependReactor("*", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		w.lock.Lock()
		defer w.lock.Unlock()
		w.calls++
		if w.fault != nil {
			if err := w.fault(w.calls, action, false); err != nil {
				return true, nil, err
			}
		}
		object, err := w.call(action, react)
		if w.loop != nil && w.calls%25 == 0 { // a call takes some milliseconds, and somebody acts every second
			w.loop()
		}
		if err == nil && w.fault != nil {
			err = w.fault(w.calls, action, true)
		}
		return true, object, err
	})
	for _, object := range append(objects,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "here"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "csi.test"},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Provisioner: "csi.test"},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "manual"}, Provisioner: cluster.NoProvisioner},
	) {
		w.stamp(object)
		if err := w.tracker.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	w.reconcile()
	return w
}

func (w *world) client() *cluster.Client {
	return &cluster.Client{Kube: w.kube, Snapshots: snapshotfake.NewSimpleClientset()}
}

// stamp gives an object what the API server adds.
func (w *world) stamp(object runtime.Object) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		w.t.Fatal(err)
	}
	w.serial++
	accessor.SetResourceVersion(fmt.Sprint(w.serial))
	if created := accessor.GetCreationTimestamp(); created.IsZero() {
		accessor.SetCreationTimestamp(metav1.Unix(int64(w.serial), 0))
	}
	if accessor.GetUID() == "" {
		accessor.SetUID(types.UID(fmt.Sprintf("uid-%d", w.serial)))
	}
	if set, ok := object.(*appsv1.StatefulSet); ok {
		set.Generation++
	}
}

// call carries out an API call, with those checks of the API server that matter here.
func (w *world) call(action k8stesting.Action, react k8stesting.ReactionFunc) (runtime.Object, error) {
	switch a := action.(type) {
	case k8stesting.CreateActionImpl:
		if len(a.CreateOptions.DryRun) > 0 {
			return a.Object, nil
		}
		w.stamp(a.Object)
		if claim, ok := a.Object.(*corev1.PersistentVolumeClaim); ok {
			claim.Status.Phase = corev1.ClaimPending
		}
	case k8stesting.UpdateActionImpl:
		if err := w.precondition(a.GetResource(), a.Namespace, mustAccess(a.Object)); err != nil {
			return nil, err
		}
		w.stamp(a.Object)
	case k8stesting.PatchActionImpl:
		var patch struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
		}
		if err := json.Unmarshal(a.Patch, &patch); err != nil {
			return nil, err
		}
		patch.Metadata.Name = a.Name
		if err := w.precondition(a.GetResource(), a.Namespace, &patch.Metadata); err != nil {
			return nil, err
		}
	case k8stesting.DeleteActionImpl:
		if p := a.DeleteOptions.Preconditions; p != nil {
			want := metav1.ObjectMeta{Name: a.Name}
			if p.UID != nil {
				want.UID = *p.UID
			}
			if p.ResourceVersion != nil {
				want.ResourceVersion = *p.ResourceVersion
			}
			if err := w.precondition(a.GetResource(), a.Namespace, &want); err != nil {
				return nil, err
			}
		}
		if a.GetResource() == claimGVR {
			defer w.reconcile()
			return nil, w.deleteClaim(a.Name)
		}
	}
	var before *appsv1.StatefulSet
	if action.GetResource() == setGVR && action.GetVerb() == "patch" {
		before = w.set()
	}
	_, object, err := react(action)
	if err != nil || slices.Contains([]string{"get", "list", "watch"}, action.GetVerb()) {
		return object, err
	}
	if _, ok := action.(k8stesting.PatchActionImpl); ok {
		w.stamp(object)
		if before != nil && equality.Semantic.DeepEqual(before.Spec, object.(*appsv1.StatefulSet).Spec) {
			object.(*appsv1.StatefulSet).Generation--
		}
		w.put(action.GetResource(), object)
	}
	w.reconcile()
	return object, nil
}

func mustAccess(object runtime.Object) metav1.Object {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return &metav1.ObjectMeta{}
	}
	return accessor
}

func (w *world) precondition(gvr schema.GroupVersionResource, namespace string, want metav1.Object) error {
	object, err := w.tracker.Get(gvr, namespace, want.GetName())
	if err != nil {
		return err
	}
	have := mustAccess(object)
	if want.GetUID() != "" && want.GetUID() != have.GetUID() ||
		want.GetResourceVersion() != "" && want.GetResourceVersion() != have.GetResourceVersion() {
		return apierrors.NewConflict(gvr.GroupResource(), want.GetName(), errors.New("precondition failed"))
	}
	return nil
}

// reconcile runs all controllers until nothing changes.
func (w *world) reconcile() {
	for range 50 {
		if !w.reconcileSet() && !w.reconcileClaims() && !w.reconcileVolumes() {
			return
		}
	}
	w.t.Fatal("the controllers do not come to rest")
}

func (w *world) reconcileSet() (changed bool) {
	object, err := w.tracker.Get(setGVR, ns, "web")
	if err != nil {
		return false
	}
	set := object.(*appsv1.StatefulSet)
	wanted := map[string]bool{}
	for _, ordinal := range cluster.Ordinals(set) {
		name := cluster.PodName(set.Name, ordinal)
		wanted[name] = true
		claimName := cluster.ClaimName("www", set.Name, ordinal)
		if w.claim(claimName) == nil {
			claim := set.Spec.VolumeClaimTemplates[0].DeepCopy()
			claim.Name, claim.Namespace, claim.Labels = claimName, ns, cluster.ClaimLabels(set, "www")
			claim.Status.Phase = corev1.ClaimPending
			w.stamp(claim)
			w.must(w.tracker.Create(claimGVR, claim, ns))
			changed = true
		}
		if pods := w.pods(); slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Name == name }) {
			if cluster.RunningOn(pods, claimName) != "" {
				changed = w.podWrites(claimName) || changed
			}
			continue
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name:            name,
				Namespace:       ns,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
			},
		}
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "www", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName}}},
		}
		if pod.Spec.SchedulingGates = set.Spec.Template.Spec.SchedulingGates; !cluster.Gated(&pod.Spec) {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		w.stamp(pod)
		w.must(w.tracker.Create(podGVR, pod, ns))
		changed = true
	}
	for _, pod := range w.pods() {
		if metav1.IsControlledBy(&pod, set) && !wanted[pod.Name] {
			w.must(w.tracker.Delete(podGVR, ns, pod.Name))
			changed = true
			if retention(set).WhenScaled == "Delete" {
				w.must(w.deleteClaim(pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName))
			}
		}
	}
	if set.Status.ObservedGeneration != set.Generation {
		set.Status.ObservedGeneration, set.Status.Replicas = set.Generation, cluster.Replicas(set)
		w.put(setGVR, set)
		changed = true
	}
	return changed
}

// podWrites is what a pod does as soon as it runs: whether the volume is restored, half restored, or empty, its
// data becomes unique to this volume. Old data stays as it is.
func (w *world) podWrites(claim string) bool {
	volume := w.claim(claim).Spec.VolumeName
	content := w.data[volume]
	if volume == "" || strings.HasPrefix(content, "old") || strings.HasPrefix(content, "written") || content == "not ours" {
		return false
	}
	if content == "" {
		content = "empty on " + volume
	}
	w.data[volume] = "written since " + content
	w.wrote[w.data[volume]] = true
	return true
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// inUse reports whether a pod that was scheduled mounts the claim.
func (w *world) inUse(claim string) bool { return cluster.RunningOn(w.pods(), claim) != "" }

func (w *world) reconcileClaims() (changed bool) {
	for _, claim := range w.claims() {
		volume := w.volume(claim.Spec.VolumeName)
		switch {
		case claim.DeletionTimestamp != nil:
			if !w.inUse(claim.Name) {
				w.must(w.tracker.Delete(claimGVR, ns, claim.Name))
				delete(w.used, claim.Name)
				changed = true
			}
		case claim.Annotations["pv.kubernetes.io/bind-completed"] != "":
			if !cluster.BoundTo(volume, &claim) && claim.Status.Phase != corev1.ClaimLost {
				claim.Status.Phase = corev1.ClaimLost
				w.put(claimGVR, &claim)
				changed = true
			}
		case claim.Spec.VolumeName == "" && *claim.Spec.StorageClassName != "manual" && (w.used[claim.Name] || w.inUse(claim.Name)):
			w.provision(&claim)
			changed = true
		case volume != nil && (cluster.Binding(volume, &claim) || cluster.BoundTo(volume, &claim)):
			volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: claim.UID}
			w.stamp(volume)
			w.put(volumeGVR, volume)
			if claim.Annotations == nil {
				claim.Annotations = map[string]string{}
			}
			claim.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
			claim.Status.Phase = corev1.ClaimBound
			w.stamp(&claim)
			w.put(claimGVR, &claim)
			changed = true
		}
	}
	return changed
}

func (w *world) provision(claim *corev1.PersistentVolumeClaim) {
	if w.bindFound(claim) {
		return
	}
	policy := corev1.PersistentVolumeReclaimDelete
	if *claim.Spec.StorageClassName == "kept" {
		policy = corev1.PersistentVolumeReclaimRetain
	}
	volume := newVolume("pvc-"+string(claim.UID), *claim.Spec.StorageClassName, policy)
	volume.Annotations = map[string]string{provisionedByMark: "csi.test"}
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: claim.UID}
	w.stamp(volume)
	w.must(w.tracker.Create(volumeGVR, volume, ""))
	claim.Spec.VolumeName = volume.Name
	w.stamp(claim)
	w.put(claimGVR, claim)
}

func (w *world) reconcileVolumes() (changed bool) {
	for _, volume := range w.volumes() {
		phase := corev1.VolumeAvailable
		if ref := volume.Spec.ClaimRef; ref != nil && ref.UID != "" {
			phase = corev1.VolumeBound
			claim := w.claim(ref.Name)
			if ref.Namespace == ns && (claim == nil || claim.UID != ref.UID) {
				phase = corev1.VolumeReleased
			}
		}
		if phase == corev1.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			w.must(w.tracker.Delete(volumeGVR, "", volume.Name))
			w.lost = append(w.lost, w.data[volume.Name])
			delete(w.data, volume.Name)
			changed = true
			continue
		}
		if volume.Status.Phase != phase {
			volume.Status.Phase = phase
			w.put(volumeGVR, &volume)
			changed = true
		}
	}
	return changed
}

// Admit admits everything: the world's Filler makes nothing.
func (w *world) Admit(context.Context, Target, []Volume) ([]cluster.Denial, []corev1.Pod, error) {
	return nil, nil, nil
}

package restore

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

func (w *world) put(gvr schema.GroupVersionResource, object runtime.Object) {
	if err := w.tracker.Update(gvr, object, mustAccess(object).GetNamespace()); err != nil {
		w.t.Fatalf("put %s: %v", mustAccess(object).GetName(), err)
	}
}

func list[L runtime.Object](w *world, gvr schema.GroupVersionResource, kind string, namespace string) L {
	w.t.Helper()
	all, err := w.tracker.List(gvr, gvr.GroupVersion().WithKind(kind), namespace)
	if err != nil {
		w.t.Fatal(err)
	}
	return all.(L)
}

func (w *world) claims() []corev1.PersistentVolumeClaim {
	return list[*corev1.PersistentVolumeClaimList](w, claimGVR, "PersistentVolumeClaim", ns).Items
}

func (w *world) volumes() []corev1.PersistentVolume {
	return list[*corev1.PersistentVolumeList](w, volumeGVR, "PersistentVolume", "").Items
}

func (w *world) pods() []corev1.Pod {
	return list[*corev1.PodList](w, podGVR, "Pod", ns).Items
}

func (w *world) set() *appsv1.StatefulSet {
	w.t.Helper()
	object, err := w.tracker.Get(setGVR, ns, "web")
	if err != nil {
		w.t.Fatal(err)
	}
	return object.(*appsv1.StatefulSet)
}

func (w *world) claim(name string) *corev1.PersistentVolumeClaim {
	object, err := w.tracker.Get(claimGVR, ns, name)
	if err != nil {
		return nil
	}
	return object.(*corev1.PersistentVolumeClaim)
}

func (w *world) volume(name string) *corev1.PersistentVolume {
	object, err := w.tracker.Get(volumeGVR, "", name)
	if err != nil {
		return nil
	}
	return object.(*corev1.PersistentVolume)
}

// deleteClaim deletes a claim, at once or when no pod uses it any more.
func (w *world) deleteClaim(name string) error {
	claim := w.claim(name)
	if claim == nil {
		return apierrors.NewNotFound(claimGVR.GroupResource(), name)
	}
	if claim.DeletionTimestamp == nil {
		now := metav1.Now()
		claim.DeletionTimestamp = &now
		claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
		w.put(claimGVR, claim)
	}
	return nil
}

func newVolume(name, class string, policy corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class,
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
}

// newSet is StatefulSet demo/web with one claim template, www.
func newSet(replicas int32, class string) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}}
	set.Spec.Replicas = &replicas
	set.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	set.Spec.Template.Labels = map[string]string{"app": "web"}
	claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "www"}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim.Spec.StorageClassName = &class
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")}
	set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{claim}
	return set
}

// newRecord is a recovery point of demo/web whose ordinals hold rs-0, rs-1, …
func newRecord() catalog.Record {
	const replicas = 3
	record := catalog.Record{
		Version: 1, ID: "20261121T081200Z-3fa9", State: catalog.StateComplete, Cluster: "here",
		Namespace: ns, StatefulSet: "web", Replicas: replicas, Started: time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC),
	}
	for ordinal := range int32(replicas) {
		record.Volumes = append(record.Volumes, catalog.Volume{
			Ordinal: ordinal, Template: "www", Claim: cluster.ClaimName("www", "web", ordinal), Capture: catalog.CaptureSnapshot,
			RepositorySnapshot: fmt.Sprintf("rs-%d", ordinal), Files: 10 + int64(ordinal), Bytes: 1000, Size: 64 << 20,
			StorageClass: "fast", Mode: "Filesystem", AccessModes: []string{"ReadWriteOnce"},
		})
	}
	return record
}

// bindFound gives the claim an existing volume: one reserved for its name, or one that fits and is nobody's.
// The binder prefers those to a new volume.
func (w *world) bindFound(claim *corev1.PersistentVolumeClaim) bool {
	for _, volume := range w.volumes() {
		ref := volume.Spec.ClaimRef
		reserved := ref != nil && ref.Namespace == ns && ref.Name == claim.Name && ref.UID == ""
		if volume.Spec.StorageClassName != *claim.Spec.StorageClassName || ref != nil && !reserved {
			continue
		}
		if !reserved {
			metav1.SetMetaDataAnnotation(&volume.ObjectMeta, "pv.kubernetes.io/bound-by-controller", "yes")
		}
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: claim.UID}
		w.stamp(&volume)
		w.put(volumeGVR, &volume)
		claim.Spec.VolumeName = volume.Name
		w.stamp(claim)
		w.put(claimGVR, claim)
		return true
	}
	return false
}

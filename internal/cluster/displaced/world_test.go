package displaced

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// asideAt is when the volumes of tests were set aside.
func asideAt() time.Time { return time.Date(2026, 11, 21, 8, 15, 0, 0, time.UTC) }

const restoreID = "20261121T081200Z-3fa9"

// aside is a volume that restoreID has set aside from claim demo/www-web-<ordinal>, which is gone.
func aside(ordinal int, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	name := fmt.Sprintf("pv-%d", ordinal)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: fmt.Sprintf("www-web-%d", ordinal)}}
	claim.Spec.VolumeName = name
	manifest, err := json.Marshal(claim)
	if err != nil {
		manifest = nil
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1",
			Labels: map[string]string{
				cluster.LabelManagedBy: cluster.ManagedBy, cluster.LabelStatefulSet: "web", cluster.LabelDisplacedFrom: claim.Name,
			},
			Annotations: map[string]string{
				cluster.AnnotationDisplacedFrom: "demo/" + claim.Name, cluster.AnnotationDisplacedClaim: string(manifest),
				cluster.AnnotationDisplacedPolicy: "Delete", cluster.AnnotationDisplacedBy: restoreID,
				cluster.AnnotationDisplacedAt: asideAt().Format(time.RFC3339), "pv.kubernetes.io/provisioned-by": "csi.test",
			},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			StorageClassName: "fast", PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{Namespace: "demo", Name: claim.Name, UID: types.UID(fmt.Sprintf("old-claim-%d", ordinal))},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
	pv.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "csi.test"}
	for _, c := range change {
		c(pv)
	}
	return pv
}

// manual turns a volume into one that people made.
func manual(pv *corev1.PersistentVolume) {
	delete(pv.Annotations, "pv.kubernetes.io/provisioned-by")
	pv.Spec.CSI = nil
	pv.Spec.StorageClassName = "manual"
}

// claimOf is a claim demo/<name> that is bound to a volume.
func claimOf(name, volume string, uid types.UID) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, UID: uid}}
	claim.Spec.VolumeName = volume
	return claim
}

// journal is the journal of an unfinished restore of demo/web.
func journal() *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: cluster.JournalName("web")},
		Data:       map[string]string{cluster.JournalPhaseKey: "fill", cluster.JournalPointKey: "20261121T081200Z-3fa9"},
	}
}

// world is a cluster in memory. Its API server checks the preconditions of patches of volumes, and its driver
// deletes what it has to delete.
type world struct {
	t    *testing.T
	kube *fake.Clientset
	// before is called before each patch of a volume is checked; it may change the world.
	before func()
	// still says that the driver does nothing.
	still bool
	// held says whether the Lease existed at each patch.
	held  []bool
	notes []string
}

func newWorld(t *testing.T, objects ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, kube: fake.NewClientset(objects...), before: func() {}}
	w.kube.PrependReactor("patch", "persistentvolumes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		object, err := w.patch(action.(clienttesting.PatchAction))
		return true, object, err
	})
	return w
}

func (w *world) patch(action clienttesting.PatchAction) (runtime.Object, error) {
	w.before()
	_, err := w.kube.Tracker().Get(leases, "demo", cluster.LeaseName("web"))
	w.held = append(w.held, err == nil)
	have := w.volume(action.GetName())
	var patch struct{ Metadata metav1.ObjectMeta }
	if err := json.Unmarshal(action.GetPatch(), &patch); err != nil {
		return nil, err
	}
	if have == nil {
		return nil, apierrors.NewNotFound(volumes.GroupResource(), action.GetName())
	}
	if patch.Metadata.UID != have.UID || patch.Metadata.ResourceVersion != have.ResourceVersion {
		return nil, apierrors.NewConflict(volumes.GroupResource(), have.Name, errors.New("the object has been modified"))
	}
	_, object, err := clienttesting.ObjectReaction(w.kube.Tracker())(action)
	if err != nil {
		return nil, err
	}
	pv := object.(*corev1.PersistentVolume).DeepCopy()
	if pv.Spec.ClaimRef == nil {
		pv.Status.Phase = corev1.VolumeAvailable
	}
	w.put(pv)
	if !w.still && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete && pv.Status.Phase == corev1.VolumeReleased {
		return pv, w.kube.Tracker().Delete(volumes, "", pv.Name)
	}
	return pv, nil
}

// put changes a volume, which then has another version.
func (w *world) put(pv *corev1.PersistentVolume) {
	w.t.Helper()
	pv.ResourceVersion += "+"
	if err := w.kube.Tracker().Update(volumes, pv, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(object runtime.Object) {
	w.t.Helper()
	if err := w.kube.Tracker().Add(object); err != nil {
		w.t.Fatal(err)
	}
}

// volume returns nil if the volume is gone.
func (w *world) volume(name string) *corev1.PersistentVolume {
	object, err := w.kube.Tracker().Get(volumes, "", name)
	if err != nil {
		return nil
	}
	return object.(*corev1.PersistentVolume).DeepCopy()
}

func (w *world) client() *cluster.Client {
	return &cluster.Client{Kube: w.kube, Snapshots: snapshotfake.NewSimpleClientset(), Relist: time.Second}
}

func (w *world) plan(r Request) Plan {
	w.t.Helper()
	s, err := Look(w.t.Context(), w.client(), "demo", "web")
	if err != nil {
		w.t.Fatal(err)
	}
	return NewPlan(s, r)
}

// run carries out a plan.
func (w *world) run(plan Plan) (Report, error) {
	d := &Discarder{Cluster: w.client(), Holder: "a test", Note: func(text string) { w.notes = append(w.notes, text) }}
	return d.Run(w.t.Context(), cluster.Operation{ID: "20261128T100000Z-0001", Kind: "discard", Namespace: "demo", StatefulSet: "web"}, plan)
}

// said reports whether a note has the text.
func (w *world) said(text string) bool {
	return slices.ContainsFunc(w.notes, func(note string) bool { return strings.Contains(note, text) })
}

var (
	volumes = corev1.SchemeGroupVersion.WithResource("persistentvolumes")
	leases  = coordinationv1.SchemeGroupVersion.WithResource("leases")
)

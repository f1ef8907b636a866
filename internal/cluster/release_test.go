package cluster

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// heldSet is a StatefulSet that was held some time ago, and that somebody has scaled up since.
func heldSet(partition *int32) *appsv1.StatefulSet {
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", UID: "web-uid"}}
	sts.Spec.Replicas = new(int32(2))
	sts.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: RestoringGate}}
	sts.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: partition}
	sts.Status.CurrentRevision, sts.Status.UpdateRevision = "held", "held"
	return sts
}

// Below a partition, the controller makes pods of the current revision, which must not be the gated one then.
func TestReleaseWithPartition(t *testing.T) {
	for name, tt := range map[string]struct {
		partition *int32
		want      []string
	}{
		"with": {
			new(int32(1)),
			[]string{
				"2 replicas, gated true, revisions held held", "0 replicas, gated false, revisions held free",
				"2 replicas, gated false, revisions free free",
			},
		},
		"without": {nil, []string{"2 replicas, gated true, revisions held held", "2 replicas, gated false, revisions held free"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sts := heldSet(tt.partition)
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
					Namespace: "demo", Name: "web-0", UID: "pod-uid",
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(sts, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
				}}
				pod.Spec.SchedulingGates = sts.Spec.Template.Spec.SchedulingGates
				c, kube, _ := fakeCluster(sts, pod)
				steps := []string{stepOf(sts)}
				kube.PrependReactor("patch", "statefulsets", func(action clienttesting.Action) (bool, runtime.Object, error) {
					_, object, err := clienttesting.ObjectReaction(kube.Tracker())(action)
					if err != nil {
						return true, nil, err
					}
					changed := object.(*appsv1.StatefulSet).DeepCopy() //nolint:forcetypeassert // it is one
					changed.Status.UpdateRevision = "free"
					steps = append(steps, stepOf(changed))
					if Replicas(changed) == 0 { // its controller notices later
						go func() {
							_ = wait.For(t.Context(), 3*time.Second)
							later := changed.DeepCopy()
							later.Status.CurrentRevision = "free"
							_ = kube.Tracker().Update(action.GetResource(), later, "demo")
						}()
					}
					return true, changed, kube.Tracker().Update(action.GetResource(), changed, "demo")
				})
				if _, err := c.Release(t.Context(), Key{"demo", "web"}, "web-uid", Scale{}, time.Minute); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, steps); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
				_, err := c.Kube.CoreV1().Pods("demo").Get(t.Context(), "web-0", metav1.GetOptions{})
				if gone := apierrors.IsNotFound(err); gone != (tt.partition != nil) {
					t.Errorf("the gated pod: %v", err)
				}
			})
		})
	}
}

func stepOf(sts *appsv1.StatefulSet) string {
	return fmt.Sprintf(
		"%d replicas, gated %v, revisions %s %s",
		Replicas(sts),
		Gated(&sts.Spec.Template.Spec),
		sts.Status.CurrentRevision,
		sts.Status.UpdateRevision,
	)
}

// The volume's controller changes the volume at the moment at which its claim goes. That is no reason to keep what nobody wants.
func TestFreeVolumeThatItsControllerChanges(t *testing.T) {
	for conflicts, wanted := range map[int]corev1.PersistentVolumeReclaimPolicy{
		1: corev1.PersistentVolumeReclaimDelete, 1000: corev1.PersistentVolumeReclaimRetain,
	} {
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv", UID: "pv-uid", Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "driver"}},
		}
		volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "demo", Name: "data-web-0", UID: "claim-uid"}
		volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "driver"}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "data-web-0", UID: "claim-uid"}}
		claim.Spec.VolumeName = "pv"
		c, kube, _ := fakeCluster(volume)
		seen := 0
		kube.PrependReactor("patch", "persistentvolumes", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if seen++; seen > conflicts {
				return false, nil, nil
			}
			return true, nil, apierrors.NewConflict(corev1.Resource("persistentvolumes"), "pv", ErrChanged)
		})
		err := c.FreeVolume(t.Context(), NewDisplaced(claim, volume))
		got, getErr := c.Volume(t.Context(), "pv")
		if getErr != nil || got.Spec.PersistentVolumeReclaimPolicy != wanted || (err == nil) != (conflicts == 1) {
			t.Errorf("after %d conflicts: %v; %v, %s", conflicts, err, getErr, got.Spec.PersistentVolumeReclaimPolicy)
		}
	}
}

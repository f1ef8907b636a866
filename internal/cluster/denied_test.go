package cluster

import (
	"strings"
	"testing"
	"testing/synctest"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// denied answers like an API server that denies a right.
func denied(action clienttesting.Action) (bool, runtime.Object, error) {
	return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", nil)
}

// Without cluster-wide rights, the class decides what happens to the data of a VolumeSnapshot, and the error says what stays.
func TestDeleteVolumeSnapshotWithoutTheRightToItsContent(t *testing.T) {
	for name, tt := range map[string]struct {
		policy        snapshotv1.DeletionPolicy
		classesHidden bool
		stays         bool
	}{
		"deleted by its class":         {policy: snapshotv1.VolumeSnapshotContentDelete},
		"retained by its class":        {policy: snapshotv1.VolumeSnapshotContentRetain, stays: true},
		"a class that may not be read": {policy: snapshotv1.VolumeSnapshotContentDelete, classesHidden: true, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, snapshots := fakeCluster()
				snapshots.PrependReactor("get", "volumesnapshotcontents", denied)
				if tt.classesHidden {
					snapshots.PrependReactor("list", "volumesnapshotclasses", denied)
				}
				vs := &snapshotv1.VolumeSnapshot{
					ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "cut", UID: "cut-uid"},
					Spec:       snapshotv1.VolumeSnapshotSpec{VolumeSnapshotClassName: new("fast")},
					Status:     &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("snapcontent-x")},
				}
				for _, object := range []runtime.Object{
					&snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, DeletionPolicy: tt.policy}, vs,
				} {
					if err := snapshots.Tracker().Add(object); err != nil {
						t.Fatal(err)
					}
				}
				err := c.DeleteVolumeSnapshot(t.Context(), vs, Removing{})
				if (err != nil) != tt.stays || err != nil && !strings.Contains(err.Error(), "snapcontent-x") {
					t.Errorf("error %v, want one that names the content: %t", err, tt.stays)
				}
				if _, err := snapshots.SnapshotV1().VolumeSnapshots("demo").Get(t.Context(), "cut", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					t.Errorf("the VolumeSnapshot is still there: %v", err)
				}
			})
		})
	}
}

func TestDeleteTemporaryClaimWithoutTheRightToItsVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "demo",
				Name:      "temporary",
				UID:       "uid",
			},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
		}
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv", Annotations: map[string]string{annotationProvisionedBy: "csi.test"}},
			Spec: corev1.PersistentVolumeSpec{
				ClaimRef: &corev1.ObjectReference{UID: "uid"}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			},
		}
		c, kube, _ := fakeCluster(claim, volume)
		kube.PrependReactor("patch", "persistentvolumes", denied)
		err := c.DeleteTemporaryClaim(t.Context(), claim, Removing{})
		if err == nil || !strings.Contains(err.Error(), "volume pv") {
			t.Errorf("error %v, want one that names the volume that stays", err)
		}
		if _, err := kube.CoreV1().PersistentVolumeClaims("demo").Get(t.Context(), "temporary", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the claim is still there: %v", err)
		}
	})
}

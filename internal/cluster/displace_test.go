package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The reclaim policy Delete on a volume that no claim holds deletes the data: only the claim's own volume may get it.
func TestUnmarkDisplacedLeavesOthersVolumesAlone(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0"}}
	for what, tt := range map[string]struct {
		ref  *corev1.ObjectReference
		uid  types.UID
		want corev1.PersistentVolumeReclaimPolicy
	}{
		"the claim's own":  {ref: &corev1.ObjectReference{Namespace: "demo", Name: "www-web-0", UID: "claim"}, uid: "volume", want: corev1.PersistentVolumeReclaimDelete},
		"another claim's":  {ref: &corev1.ObjectReference{Namespace: "victim", Name: "www-web-0"}, uid: "volume", want: corev1.PersistentVolumeReclaimRetain},
		"nobody's":         {uid: "volume", want: corev1.PersistentVolumeReclaimRetain},
		"of the same name": {ref: &corev1.ObjectReference{Namespace: "demo", Name: "www-web-0", UID: "claim"}, uid: "another", want: corev1.PersistentVolumeReclaimRetain},
	} {
		t.Run(what, func(t *testing.T) {
			volume := &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: "pv", UID: "volume"},
				Spec:       corev1.PersistentVolumeSpec{ClaimRef: tt.ref, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain},
			}
			live := claim.DeepCopy()
			live.UID, live.Spec.VolumeName = "claim", "pv"
			c, _, _ := fakeCluster(volume, live)
			d := Displaced{Claim: claim, Volume: "pv", VolumeUID: tt.uid, ReclaimPolicy: corev1.PersistentVolumeReclaimDelete}
			if err := c.UnmarkDisplaced(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			got, err := c.Volume(t.Context(), "pv")
			if err != nil || got.Spec.PersistentVolumeReclaimPolicy != tt.want {
				t.Errorf("got %v (%v), want %s", got.Spec.PersistentVolumeReclaimPolicy, err, tt.want)
			}
		})
	}
	c, _, _ := fakeCluster()
	if err := c.UnmarkDisplaced(t.Context(), Displaced{Claim: claim, Volume: "gone", VolumeUID: "volume"}); err != nil {
		t.Errorf("a volume that is gone: %v", err)
	}
}

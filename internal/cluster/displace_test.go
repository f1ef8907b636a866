package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// On a volume that no claim holds, the reclaim policy Delete deletes the data: only the claim's own volume may get it.
func TestUnmarkDisplacedLeavesOthersVolumesAlone(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0"}}
	for what, tt := range map[string]struct {
		ref  *corev1.ObjectReference
		uid  types.UID
		want corev1.PersistentVolumeReclaimPolicy
	}{
		"the claim's own": {
			ref: &corev1.ObjectReference{Namespace: "demo", Name: "www-web-0", UID: "claim"}, uid: "volume",
			want: corev1.PersistentVolumeReclaimDelete,
		},
		"another claim's": {
			ref: &corev1.ObjectReference{Namespace: "victim", Name: "www-web-0"}, uid: "volume",
			want: corev1.PersistentVolumeReclaimRetain,
		},
		"nobody's": {uid: "volume", want: corev1.PersistentVolumeReclaimRetain},
		"of the same name": {
			ref: &corev1.ObjectReference{Namespace: "demo", Name: "www-web-0", UID: "claim"}, uid: "another",
			want: corev1.PersistentVolumeReclaimRetain,
		},
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

// A claim that is made again names no owner: if that owner is gone, Kubernetes would delete the claim as garbage, and its volume with it.
func TestClaimMadeAgainHasNoOwner(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "demo", Name: "www-web-0", UID: "claim",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Database", Name: "web", UID: "gone"}},
	}}
	d := NewDisplaced(claim, nil)
	if len(d.Claim.OwnerReferences) > 0 || d.Claim.Kind != "PersistentVolumeClaim" || d.Claim.APIVersion != "v1" {
		t.Errorf("what is saved is %+v", d.Claim)
	}
	d.Claim.OwnerReferences = claim.OwnerReferences // as an earlier version saved it
	c, _, _ := fakeCluster()
	made, err := c.CreateFinalClaim(t.Context(), d.Claim)
	if err != nil || len(made.OwnerReferences) > 0 {
		t.Errorf("the claim that is made again is %+v (%v)", made, err)
	}
}

// The name of a volume shows that it was made for a claim; volumes that people make can have any name.
func TestVolumeNamedAfterItsClaim(t *testing.T) {
	const uid = "0b6e3c4e-9a51-4f0e-8a52-2b0f0c6a9d11"
	for name, want := range map[string]bool{
		"pvc-" + uid: true, "sts-prod-" + uid: true, "pvc-0b6e3c4e9a514f0e": true, "pvc-0b6e3c4e": true,
		"pvc-0b6e": false, "pvc-1b6e3c4e9a514f0e": false, uid: false, "data-of-web-0": false, "": false,
		"pvc-1b6e3c4e-9a51-4f0e-8a52-2b0f0c6a9d11": false,
	} {
		if got := namedAfter(name, uid); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if namedAfter("pvc-", "") {
		t.Error("a claim without a UID has a volume")
	}
}

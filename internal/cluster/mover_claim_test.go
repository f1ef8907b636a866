package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

// pendingClaim is the claim that testMover mounts, before it has a volume.
func pendingClaim(class string) *corev1.PersistentVolumeClaim {
	claim := boundClaim()
	claim.Spec.StorageClassName = &class
	claim.Status.Phase = corev1.ClaimPending
	return claim
}

func storageClass(name string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, VolumeBindingMode: &mode}
}

// The class of a claim decides whether the mover's pod is made before or after the claim is bound.
func TestMoverWaitsForItsClaim(t *testing.T) {
	const bindsAfter = 10 * time.Second
	for name, tt := range map[string]struct {
		class     string
		objects   []runtime.Object
		forbidden bool
		waits     bool
	}{
		"bound at once": {
			class: "fast", objects: []runtime.Object{storageClass("fast", storagev1.VolumeBindingImmediate)}, waits: true,
		},
		"bound at once, by default": {
			class: "fast", objects: []runtime.Object{&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}}, waits: true,
		},
		"volumes by hand": {class: "", waits: true},
		"volumes by hand, of a class": {
			class: "manual", objects: []runtime.Object{storageClass("other", storagev1.VolumeBindingWaitForFirstConsumer)}, waits: true,
		},
		"bound when it is used": {
			class: "late", objects: []runtime.Object{storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer)},
		},
		"the class may not be read": {
			class: "fast", objects: []runtime.Object{storageClass("fast", storagev1.VolumeBindingImmediate)}, forbidden: true,
		},
		"the class is not the first of a list": {
			class: "late",
			objects: []runtime.Object{
				storageClass("a", storagev1.VolumeBindingImmediate), storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claim := pendingClaim(tt.class)
				c, kube, _ := fakeCluster(append(tt.objects, claim)...)
				if tt.forbidden {
					kube.PrependReactor("list", "storageclasses", func(clienttesting.Action) (bool, runtime.Object, error) {
						return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "storageclasses"}, "", errors.New("as planned"))
					})
				}
				playPods(kube, running, terminated(0, "Completed", "{}"))
				begun, made := time.Now(), time.Duration(-1)
				kube.PrependReactor("create", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
					made = time.Since(begun)
					return false, nil, nil
				})
				time.AfterFunc(bindsAfter, func() {
					bound := claim.DeepCopy()
					bound.Status.Phase = corev1.ClaimBound
					_, _ = kube.CoreV1().PersistentVolumeClaims("demo").Update(context.Background(), bound, metav1.UpdateOptions{})
				})
				var waits []string
				mover := testMover()
				mover.Waiting = func(reason string) { waits = append(waits, reason) }
				if _, err := c.RunMover(t.Context(), MoverConfig{Image: "stsbackup:test"}, mover, nil); err != nil {
					t.Fatal(err)
				}
				if waited := made >= bindsAfter; waited != tt.waits || made < 0 {
					t.Errorf("the Job was made after %s, the claim bound after %s; want it to wait: %v", made, bindsAfter, tt.waits)
				}
				if told := slices.ContainsFunc(
					waits,
					func(reason string) bool { return strings.Contains(reason, "claim temporary") },
				); told != tt.waits {
					t.Errorf("was told %q", waits)
				}
			})
		})
	}
}

func TestMoverWithoutAVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(pendingClaim("fast"), storageClass("fast", storagev1.VolumeBindingImmediate), &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "e"}, InvolvedObject: corev1.ObjectReference{UID: "claim-uid"},
			Type: corev1.EventTypeWarning, Reason: "ProvisioningFailed", Message: "the pool is full",
		})
		begun := time.Now()
		_, err := c.RunMover(t.Context(), MoverConfig{StartTimeout: 30 * time.Second}, testMover(), nil)
		var failed *MoverError
		if !errors.As(err, &failed) || failed.Reason != "ProvisioningFailed" ||
			!strings.Contains(failed.Message, "claim temporary: the pool is full (for 3") {
			t.Errorf("error %v, want the claim's own event", err)
		}
		if took := time.Since(begun); took < 30*time.Second || took > 40*time.Second {
			t.Errorf("gave up after %s, want 30 s and a little", took)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
		if err := kube.CoreV1().PersistentVolumeClaims("demo").Delete(t.Context(), "temporary", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.RunMover(t.Context(), MoverConfig{}, testMover(), nil); err == nil ||
			!strings.Contains(err.Error(), "claim demo/temporary: it does not exist any more") {
			t.Errorf("without its claim: %v", err)
		}
	})
}

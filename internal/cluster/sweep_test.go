package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// remains are all objects of an operation that a process which was killed can leave.
func remains(op Operation) (kube []runtime.Object, vs *snapshotv1.VolumeSnapshot) {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: op.Namespace, Name: name, Labels: op.VolumeLabels(0, "www-"+op.StatefulSet+"-0")}
	}
	name := op.VolumeName(0, "www")
	mover := Mover{Operation: op, Name: name, Claim: "www-" + op.StatefulSet + "-0"}
	job := moverJob(MoverConfig{}, mover)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: op.Namespace, Name: name + "-abcde", Labels: moverLabels(mover)}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: meta(name), Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + name}}
	claim.UID = "claim-uid"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: op.Namespace, Name: op.Name("mover"), Labels: op.Labels()}}
	volumeSnapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: meta(name)}
	volumeSnapshot.UID = "vs-uid"
	volumeSnapshot.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("content-" + name)}
	return []runtime.Object{job, pod, moverSecret(KeyFiles{}, mover, job), claim, account}, volumeSnapshot
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, current := testOperation(), testOperation()
		current.ID = "20261121T090000Z-0001"
		neighbour := testOperation()
		neighbour.ID, neighbour.StatefulSet = "20261121T081200Z-0002", "redis"
		objects, vs := remains(dead)
		living, livingVS := remains(current)
		others, _ := remains(neighbour)
		// What restore makes under its final name, and what is not ours at all.
		final := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0", Labels: dead.VolumeLabels(0, "www-web-0")}}
		stranger := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "stsbackup-20261121t081200z-password"}}
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-" + dead.VolumeName(0, "www")},
			Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, ClaimRef: &corev1.ObjectReference{UID: "claim-uid"},
			},
		}
		c, kube, snapshots := fakeCluster(slices.Concat(objects, living, others, []runtime.Object{final, stranger, volume})...)
		for _, object := range []runtime.Object{vs, livingVS, &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: *vs.Status.BoundVolumeSnapshotContentName},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain, VolumeSnapshotRef: corev1.ObjectReference{UID: "vs-uid"},
			},
		}} {
			if err := snapshots.Tracker().Add(object); err != nil {
				t.Fatal(err)
			}
		}
		var done []string
		record := func(action clienttesting.Action) (bool, runtime.Object, error) {
			if verb := action.GetVerb(); verb == "delete" || verb == "patch" {
				done = append(done, verb+" "+action.GetResource().Resource)
			}
			return false, nil, nil
		}
		kube.PrependReactor("*", "*", record)
		snapshots.PrependReactor("*", "*", record)
		reclaim(kube)

		removed, err := c.Sweep(t.Context(), current)
		if err != nil {
			t.Fatal(err)
		}
		name := dead.VolumeName(0, "www")
		want := []string{"Job demo/" + name, "temporary claim demo/" + name, "VolumeSnapshot demo/" + name, "ServiceAccount demo/" + dead.Name("mover")}
		if diff := cmp.Diff(want, removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		order := []string{
			"delete jobs", "delete secrets", "delete pods",
			"patch persistentvolumes", "delete persistentvolumeclaims",
			"patch volumesnapshotcontents", "delete volumesnapshots",
			"delete serviceaccounts",
		}
		if diff := cmp.Diff(order, done); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		checkSpared(t, c, current, final, stranger)
	})
}

// reclaim is the controller that deletes a volume with its claim.
func reclaim(kube *fake.Clientset) {
	kube.PrependReactor("delete", "persistentvolumeclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return false, nil, kube.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("persistentvolumes"), "", "pv-"+action.(clienttesting.DeleteAction).GetName())
	})
}

// checkSpared makes sure that Sweep has left alone what is not its own.
func checkSpared(t *testing.T, c *Client, current Operation, final *corev1.PersistentVolumeClaim, stranger *corev1.Secret) {
	t.Helper()
	ctx := context.Background()
	if _, err := c.Kube.CoreV1().PersistentVolumeClaims("demo").Get(ctx, final.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("the StatefulSet's own claim is gone: %v", err)
	}
	if _, err := c.Kube.CoreV1().Secrets("demo").Get(ctx, stranger.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("somebody else's Secret is gone: %v", err)
	}
	jobs, err := c.Kube.BatchV1().Jobs("demo").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, job := range jobs.Items {
		left = append(left, job.Labels[LabelStatefulSet]+" "+job.Labels[LabelOperation])
	}
	if want := []string{"redis 20261121T081200Z-0002", "web " + current.ID}; !slices.Equal(left, want) {
		t.Errorf("Jobs left: %q, want %q", left, want)
	}
	if _, err := c.Snapshots.SnapshotV1().VolumeSnapshots("demo").Get(ctx, current.VolumeName(0, "www"), metav1.GetOptions{}); err != nil {
		t.Errorf("the current operation's VolumeSnapshot is gone: %v", err)
	}
}

func TestCleanupRemovesItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op := testOperation()
		objects, vs := remains(op)
		c, _, snapshots := fakeCluster(objects...)
		if err := snapshots.Tracker().Add(vs); err != nil {
			t.Fatal(err)
		}
		removed, err := c.Cleanup(t.Context(), op)
		if err != nil || len(removed) != 4 {
			t.Errorf("removed %q, %v", removed, err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, current := testOperation(), testOperation()
		current.ID = "20261121T090000Z-0001"
		objects, vs := remains(dead)
		c, kube, snapshots := fakeCluster(objects...)
		if err := snapshots.Tracker().Add(vs); err != nil {
			t.Fatal(err)
		}
		kube.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, context.DeadlineExceeded
		})
		removed, err := c.Sweep(t.Context(), current)
		if err == nil || !strings.Contains(err.Error(), "delete mover Job") {
			t.Errorf("error %v, want the failure to delete the Job", err)
		}
		if !slices.Contains(removed, "ServiceAccount demo/"+dead.Name("mover")) {
			t.Errorf("removed %q, want what comes after the failure, too", removed)
		}
	})
}

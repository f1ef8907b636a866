package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v6/apis/volumesnapshot/v1"
	snapshotfake "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned/fake"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// remnants are all objects that an operation can leave behind when its process is killed.
type remnants struct {
	job     *batchv1.Job
	pod     *corev1.Pod
	secret  *corev1.Secret
	claim   *corev1.PersistentVolumeClaim
	account *corev1.ServiceAccount
	vs      *snapshotv1.VolumeSnapshot
}

// remains are the remnants of a backup of ordinal 0, with the names that naming gives.
func remains(op Operation, naming func(parts ...string) string) remnants {
	name, source := naming("0", "www"), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "www-" + op.StatefulSet + "-0"}}
	mover := Mover{Operation: op, Name: name, Claim: source.Name, Mount: name, ReadOnly: true}
	r := remnants{
		job: moverJob(MoverConfig{}, mover), claim: TemporaryClaim(op, 0, "www", source, name, 1),
		account: &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
			Namespace: op.Namespace, Name: naming("mover"), Labels: op.Labels(), Annotations: op.Annotations(""), UID: types.UID("account-" + op.ID),
		}},
		vs: &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: op.Namespace, Name: name, Labels: op.VolumeLabels(0, source.Name), Annotations: op.Annotations(source.Name), UID: "vs-uid",
			},
			Spec:   snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &source.Name}},
			Status: &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("content-" + name)},
		},
	}
	r.job.UID = types.UID("job-" + op.ID)
	r.secret = moverSecret(KeyFiles{}, mover, r.job)
	r.secret.UID = types.UID("secret-" + op.ID)
	r.pod = podOf(r.job)
	r.claim.Name, r.claim.UID, r.claim.Spec.VolumeName = name, "claim-uid", "pv-"+name
	return r
}

// podOf is the pod that the Job controller makes for a Job.
func podOf(job *batchv1.Job) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name + "-abcde", UID: "pod-of-" + job.UID,
			Labels: job.Spec.Template.Labels, Annotations: job.Spec.Template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
}

func (r remnants) kube() []runtime.Object {
	return []runtime.Object{r.job, r.pod, r.secret, r.claim, r.account}
}

// names are the names of what Sweep says it has removed.
func (r remnants) names() []string {
	return []string{
		"Job demo/" + r.job.Name,
		"temporary claim demo/" + r.claim.Name,
		"VolumeSnapshot demo/" + r.vs.Name,
		"ServiceAccount demo/" + r.account.Name,
	}
}

// currentOperation is the operation that sweeps after testOperation.
func currentOperation() Operation {
	current := testOperation()
	current.ID = "20261121T090000Z-00000001"
	return current
}

// sweepCluster is fakeCluster with the garbage collector, and an API server that checks preconditions and gets
// no deletion without them.
func sweepCluster(t *testing.T, objects ...runtime.Object) *Client {
	t.Helper()
	var kubeObjects, snapshotObjects []runtime.Object
	for _, object := range objects {
		switch object.(type) {
		case *snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent:
			snapshotObjects = append(snapshotObjects, object)
		default:
			kubeObjects = append(kubeObjects, object)
		}
	}
	c, kube, snapshots := fakeCluster(kubeObjects...)
	for _, object := range snapshotObjects {
		if err := snapshots.Tracker().Add(object); err != nil {
			t.Fatal(err)
		}
	}
	collectSecrets(kube)
	kube.PrependReactor("delete", "*", demandPreconditions(t, kube.Tracker()))
	snapshots.PrependReactor("delete", "*", demandPreconditions(t, snapshots.Tracker()))
	return c
}

func demandPreconditions(t *testing.T, tracker clienttesting.ObjectTracker) clienttesting.ReactionFunc {
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		deletion := action.(clienttesting.DeleteActionImpl)
		object, err := tracker.Get(deletion.GetResource(), deletion.GetNamespace(), deletion.GetName())
		if err != nil {
			return true, nil, err
		}
		accessor, err := meta.Accessor(object)
		if err != nil {
			return true, nil, err
		}
		as := deletion.DeleteOptions.Preconditions
		if as == nil || as.UID == nil {
			t.Errorf("%s %s is deleted, whatever it is by now", deletion.GetResource().Resource, deletion.GetName())
			return false, nil, nil
		}
		if *as.UID != accessor.GetUID() || as.ResourceVersion != nil && *as.ResourceVersion != accessor.GetResourceVersion() {
			return true, nil, apierrors.NewConflict(deletion.GetResource().GroupResource(), deletion.GetName(), errors.New("precondition failed"))
		}
		return false, nil, nil
	}
}

// collectSecrets plays the garbage collector: a Secret goes with the Job that owns it.
func collectSecrets(kube *fake.Clientset) {
	kube.PrependReactor("delete", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		deletion := action.(clienttesting.DeleteActionImpl)
		job, err := kube.Tracker().Get(deletion.GetResource(), deletion.GetNamespace(), deletion.GetName())
		if err != nil {
			return true, nil, err
		}
		secrets := corev1.SchemeGroupVersion.WithResource("secrets")
		list, err := kube.Tracker().List(secrets, corev1.SchemeGroupVersion.WithKind("Secret"), deletion.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		for _, secret := range list.(*corev1.SecretList).Items {
			if slices.ContainsFunc(secret.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == job.(*batchv1.Job).UID }) {
				if err := kube.Tracker().Delete(secrets, secret.Namespace, secret.Name); err != nil {
					return true, nil, err
				}
			}
		}
		return false, nil, nil
	})
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, current := testOperation(), currentOperation()
		neighbour := testOperation()
		neighbour.ID, neighbour.StatefulSet = "20261121T081200Z-0002", "redis"
		gone, living, others := remains(dead, dead.Name), remains(current, current.Name), remains(neighbour, neighbour.Name)
		// An object that a restore makes under its final name, and one that is not ours at all.
		final := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0", Labels: dead.VolumeLabels(0, "www-web-0")},
		}
		stranger := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "stsbackup-20261121t081200z-password"}}
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: gone.claim.Spec.VolumeName, Annotations: map[string]string{annotationProvisionedBy: "csi.test"}},
			Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, ClaimRef: &corev1.ObjectReference{UID: "claim-uid"},
			},
		}
		content := &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: *gone.vs.Status.BoundVolumeSnapshotContentName},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain, VolumeSnapshotRef: corev1.ObjectReference{UID: "vs-uid"},
			},
		}
		c := sweepCluster(
			t,
			slices.Concat(gone.kube(), living.kube(), others.kube(), []runtime.Object{final, stranger, volume, gone.vs, living.vs, content})...)
		kube, snapshots := fakes(t, c)
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

		swept, err := c.Sweep(t.Context(), current, Removing{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Swept{Removed: gone.names()}, swept); diff != "" {
			t.Errorf("swept (-want +got):\n%s", diff)
		}
		order := []string{
			"delete jobs", "delete pods", // and no Secret by its name
			"patch persistentvolumes", "delete persistentvolumeclaims",
			"patch volumesnapshotcontents", "delete volumesnapshots",
			"delete serviceaccounts",
		}
		if diff := cmp.Diff(order, done); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if _, err := kube.CoreV1().Secrets("demo").Get(t.Context(), gone.secret.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the dead mover's Secret is still there: %v", err)
		}
		checkSpared(t, c, current, final, stranger)
	})
}

// reclaim plays the controller that deletes a volume with its claim.
func reclaim(kube *fake.Clientset) {
	kube.PrependReactor("delete", "persistentvolumeclaims", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return false, nil, kube.Tracker().Delete(
			corev1.SchemeGroupVersion.WithResource("persistentvolumes"),
			"",
			"pv-"+action.(clienttesting.DeleteAction).GetName(),
		)
	})
}

// checkSpared checks that Sweep has left alone what is not its own.
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
		own := remains(op, op.Name)
		c := sweepCluster(t, append(own.kube(), own.vs)...)
		swept, err := c.Cleanup(t.Context(), op, Removing{})
		if err != nil || len(swept.Removed) != 4 || len(swept.Left) != 0 {
			t.Errorf("swept %+v, %v", swept, err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
	})
}

// In earlier versions, names did not contain the StatefulSet. Sweep also removes what these versions have left.
func TestSweepOfAnEarlierVersion(t *testing.T) {
	for name, id := range map[string]string{"with a short id": "20261121T081200Z-3fa9", "with a long one": testOperation().ID} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := testOperation()
				dead.ID = id
				gone := remains(dead, dead.earlierName)
				c := sweepCluster(t, append(gone.kube(), gone.vs)...)
				swept, err := c.Sweep(t.Context(), currentOperation(), Removing{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(Swept{Removed: gone.names()}, swept); diff != "" {
					t.Errorf("swept (-want +got):\n%s", diff)
				}
				if left := leftOver(t, c); len(left) > 0 {
					t.Errorf("left in the cluster: %q", left)
				}
			})
		})
	}
}

// Names that were too long have been cut; Sweep can compute them all the same.
func TestSweepOfLongNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, current := testOperation(), currentOperation()
		dead.StatefulSet = strings.Repeat("s", 100)
		current.StatefulSet = dead.StatefulSet
		template := strings.Repeat("t", 60)
		job := moverJob(
			MoverConfig{},
			Mover{Operation: dead, Name: dead.Name("7", template, backPart), Ordinal: 7, Claim: ClaimName(template, dead.StatefulSet, 7)},
		)
		job.UID = "job-uid"
		pod := podOf(job)
		pod.Name = job.Name[:maxPodBase] + "x7k2p" // as the Job controller cuts it
		c := sweepCluster(t, job, pod)
		swept, err := c.Sweep(t.Context(), current, Removing{})
		if err != nil || !slices.Equal(swept.Removed, []string{"Job demo/" + job.Name}) {
			t.Errorf("swept %+v, %v", swept, err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
	})
}

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := testOperation()
		gone := remains(dead, dead.Name)
		c := sweepCluster(t, append(gone.kube(), gone.vs)...)
		kube, _ := fakes(t, c)
		kube.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, context.DeadlineExceeded
		})
		swept, err := c.Sweep(t.Context(), currentOperation(), Removing{})
		if err == nil || !strings.Contains(err.Error(), "delete mover Job") {
			t.Errorf("error %v, want the failure to delete the Job", err)
		}
		if !slices.Contains(swept.Removed, "ServiceAccount demo/"+dead.Name("mover")) {
			t.Errorf("removed %q, want what comes after the failure, too", swept.Removed)
		}
	})
}

// fakes are the fakes behind a client.
func fakes(t *testing.T, c *Client) (*fake.Clientset, *snapshotfake.Clientset) {
	t.Helper()
	kube, isFake := c.Kube.(*fake.Clientset)
	snapshots, alsoFake := c.Snapshots.(*snapshotfake.Clientset)
	if !isFake || !alsoFake {
		t.Fatalf("the client speaks to %T and %T", c.Kube, c.Snapshots)
	}
	return kube, snapshots
}

package cluster

import (
	"errors"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
)

// TestCreatedWithoutAnAnswer: the API server creates what a mover needs, and goes away before it answers.
// RunMover finds the object, or creates it once more, and does not give up on the mover.
func TestCreatedWithoutAnAnswer(t *testing.T) {
	c, kube, _ := fakeCluster()
	lost := map[string]bool{}
	kube.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		resource := action.GetResource().Resource
		if lost[resource] {
			return false, nil, nil
		}
		lost[resource] = true
		if err := kube.Tracker().Create(
			action.GetResource(),
			action.(clienttesting.CreateAction).GetObject(),
			action.GetNamespace(),
		); err != nil {
			t.Error(err)
		}
		return true, nil, apierrors.NewTimeoutError("no answer", 1)
	})
	op := testOperation()
	m := Mover{Operation: op, Name: op.VolumeName(0, "www"), Ordinal: 0, Claim: "www-web-0", Mount: "www-web-0"}
	job, err := c.createJob(t.Context(), op, moverJob(MoverConfig{}, m), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := &moverKeys{client: c, mover: m, job: job}
	if err := keys.begin(t.Context(), KeyFiles{Content: map[string][]byte{"key": []byte("value")}}); err != nil || keys.secret == nil {
		t.Error(err)
	}
	if _, err := c.ensureAccount(t.Context(), op); err != nil {
		t.Error(err)
	}
	if len(lost) != 3 {
		t.Errorf("answers were lost of %v", lost)
	}

	// A Job that has been started before is no answer to this request.
	job.Spec.Suspend = new(false)
	if err := kube.Tracker().Update(batchv1.SchemeGroupVersion.WithResource("jobs"), job, job.Namespace); err != nil {
		t.Fatal(err)
	}
	kube.PrependReactor("create", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewTimeoutError("no answer", 1)
	})
	if _, err := c.createJob(t.Context(), op, moverJob(MoverConfig{}, m), nil); !apierrors.IsTimeout(errors.Unwrap(err)) {
		t.Errorf("a Job that runs already: %v", err)
	}
}

// TestAwaitBoundToAClaimThatGoes: a bound claim that somebody has deleted is as good as gone.
func TestAwaitBoundToAClaimThatGoes(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "www-web-0", UID: types.UID("claim")}}
	claim.Spec.VolumeName, claim.Status.Phase = "pv", corev1.ClaimBound
	c, _, _ := fakeCluster(claim.DeepCopy())
	if err := c.AwaitBound(t.Context(), ClaimKey{"demo", "www-web-0"}, "pv", time.Minute); err != nil {
		t.Error(err)
	}
	claim.DeletionTimestamp, claim.Finalizers = new(metav1.Now()), []string{"kubernetes.io/pvc-protection"}
	c, _, _ = fakeCluster(claim)
	if err := c.AwaitBound(t.Context(), ClaimKey{"demo", "www-web-0"}, "pv", time.Minute); !errors.Is(err, ErrChanged) {
		t.Errorf("a claim that is going: %v", err)
	}
}

// TestTellHeld: "kubectl describe statefulset" shows that a restore holds the pods back.
func TestTellHeld(t *testing.T) {
	c, kube, _ := fakeCluster()
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", UID: "set"}}
	c.TellHeld(t.Context(), testOperation(), sts)
	events, err := kube.CoreV1().Events("demo").List(t.Context(), metav1.ListOptions{})
	if err != nil || !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
		return e.InvolvedObject.UID == sts.UID && e.InvolvedObject.Kind == "StatefulSet" && e.Reason == "HeldForRestore"
	}) {
		t.Errorf("Events: %+v (%v)", events, err)
	}
}

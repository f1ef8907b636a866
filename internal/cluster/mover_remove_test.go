package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// After an outage of the API server, the Job controller notices late that a mover has ended, and until then the
// mover's pod has a finalizer. That is no failure of the mover's work. A pod whose end is not known is one.
func TestRunMoverWhosePodIsKept(t *testing.T) {
	succeeded := terminated(0, "Completed", "result")
	succeeded.Phase = corev1.PodSucceeded
	failed := terminated(1, "Error", "why")
	failed.Phase = corev1.PodFailed
	for name, tt := range map[string]struct {
		status           corev1.PodStatus
		finalizers       []string
		failed, leftover bool
	}{
		"it has succeeded":               {status: succeeded, finalizers: []string{"batch.kubernetes.io/job-tracking"}},
		"it has failed":                  {status: failed, finalizers: []string{"batch.kubernetes.io/job-tracking"}, failed: true},
		"its node does not let go of it": {status: succeeded, leftover: true},
		"its container has ended, and nobody says so": {
			status: terminated(0, "Completed", "result"), finalizers: []string{"batch.kubernetes.io/job-tracking"}, leftover: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim())
				playPods(kube, running, tt.status)
				kube.PrependReactor("*", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
					if made, is := action.(clienttesting.CreateAction); is { // or updated, which looks the same
						pod := made.GetObject().(*corev1.Pod)
						pod.Finalizers, pod.Spec.NodeName = tt.finalizers, "n1"
					}
					return false, nil, nil
				})
				kube.PrependReactor("delete", "pods", stays(kube.Tracker()))
				result, err := c.RunMover(t.Context(), MoverConfig{Image: "stsbackup:test"}, testMover(), nil)
				var left *Leftover
				if errors.As(err, &left) != tt.leftover {
					t.Errorf("error %v; it is to be one about what is left: %v", err, tt.leftover)
				}
				var mover *MoverError
				if errors.As(err, &mover) != tt.failed {
					t.Errorf("error %v; it is to be one of the mover: %v", err, tt.failed)
				}
				if want := moverStatus(&corev1.Pod{Status: tt.status}).State.Terminated.Message; string(result) != want {
					t.Errorf("result %q, want %q", result, want)
				}
				if pods, err := c.Kube.CoreV1().Pods("demo").List(context.Background(), metav1.ListOptions{}); err != nil || len(pods.Items) != 1 {
					t.Errorf("%v, and an error %v: this test shows nothing", pods, err)
				}
			})
		})
	}
}

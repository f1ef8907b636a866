package cluster

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// Pods that are not Ready keep the controller of an OrderedReady StatefulSet from scaling it down. AwaitNoPods
// ends them instead, in the controller's order, and leaves Ready pods to the controller.
func TestAwaitNoPodsEndsUnready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", UID: "web-uid"}}
		objects := []runtime.Object{sts}
		for _, ordinal := range []int{0, 2, 9, 10} {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: "demo", Name: "web-" + strconv.Itoa(ordinal), UID: "pod-uid",
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(sts, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
			}}
			if ordinal == 0 {
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			}
			objects = append(objects, pod)
		}
		c, kube, _ := fakeCluster(objects...)
		var said []string
		begun := time.Now()
		c.Waiting = func(message string) { said = append(said, time.Since(begun).String()+" "+message) }
		if err := c.AwaitNoPods(t.Context(), sts, time.Minute); err == nil {
			t.Fatal("a Ready pod that its controller does not end was not waited for")
		}
		if len(said) != 1 || !strings.HasPrefix(said[0], "10s waiting (for up to 1m0s): StatefulSet demo/web is scaled to 0, and pod web-0 ") {
			t.Errorf("said while it waited for a minute: %q", said)
		}
		var ended []string
		for _, action := range kube.Actions() {
			if deletion, ok := action.(clienttesting.DeleteAction); ok {
				ended = append(ended, deletion.GetName())
			}
		}
		// A pod may be ended twice, before the watch says that it is gone.
		if diff := cmp.Diff([]string{"web-10", "web-9", "web-2"}, slices.Compact(ended)); diff != "" {
			t.Errorf("pods that were ended (-want +got):\n%s", diff)
		}
	})
}

// notReady names each pod that is missing or not Ready, with what it waits for. Only the StatefulSet's Events
// say what prevents the first pod from being made.
func TestNotReadySaysWhy(t *testing.T) {
	sts := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web"},
		Spec:       appsv1.StatefulSetSpec{Replicas: new(int32(3))},
	}
	pod := func(ordinal int32, waiting *corev1.ContainerStateWaiting) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: PodName("web", ordinal)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: waiting}}}
		return p
	}
	hint := ` is not there yet ("kubectl -n demo describe statefulset web" says what keeps it from being made)`
	creating := &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	for name, tt := range map[string]struct {
		pods []*corev1.Pod
		want []string
	}{
		"none": {nil, []string{"web-0" + hint, "web-1 is not there yet", "web-2 is not there yet"}},
		"one at a time": {
			[]*corev1.Pod{pod(0, creating)},
			[]string{"web-0 container main is ContainerCreating", "web-1 is not there yet", "web-2 is not there yet"},
		},
		"with a message": {
			[]*corev1.Pod{pod(0, &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"})},
			[]string{"web-0 container main is ErrImagePull no such image", "web-1 is not there yet", "web-2 is not there yet"},
		},
		"all but started": {[]*corev1.Pod{pod(0, creating), pod(1, creating), pod(2, creating)}, []string{"web-0 container main is " +
			"ContainerCreating", "web-1 container main is ContainerCreating", "web-2 container main is ContainerCreating"}},
	} {
		if diff := cmp.Diff(tt.want, notReady(sts, tt.pods)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

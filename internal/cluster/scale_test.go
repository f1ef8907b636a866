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

// Pods that are not Ready stop the controller of an OrderedReady StatefulSet from scaling it down: they are ended in its
// stead, in its order. Those that are Ready are left to it.
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
		// A pod may be ended twice, before the watch tells that it is gone.
		if diff := cmp.Diff([]string{"web-10", "web-9", "web-2"}, slices.Compact(ended)); diff != "" {
			t.Errorf("pods that were ended (-want +got):\n%s", diff)
		}
	})
}

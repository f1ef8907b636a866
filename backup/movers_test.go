package backup

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// newMoverStage is a stage on which movers save. It also plays the Job controller and the kubelet.
func newMoverStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.engine.Saver = &Movers{Cluster: s.engine.Cluster}
	s.ends = map[string]corev1.ContainerStateTerminated{}
	s.ends[""] = corev1.ContainerStateTerminated{Message: `{"probe":"ok"}`} // the end of a probe
	for _, claim := range []string{"www-web-0", "www-web-1"} {
		s.ends[claim] = corev1.ContainerStateTerminated{
			Message: fmt.Sprintf(`{"repositorySnapshot":"of %s","files":1,"bytes":5,"bytesStored":4}`, claim),
		}
	}
	watchSelected(s.kube)
	s.kube.PrependReactor("patch", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		go s.runPod(action.(clienttesting.PatchAction).GetName())
		return false, nil, nil
	})
	return s
}

// runPod plays the pod of a Job: it runs for ten seconds.
func (s *stage) runPod(job string) {
	ctx, pods := context.Background(), s.kube.CoreV1().Pods("demo")
	object, err := s.kube.BatchV1().Jobs("demo").Get(ctx, job, metav1.GetOptions{})
	if err != nil {
		return
	}
	template := object.Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: job + "-pod", Labels: template.Labels, Annotations: template.Annotations},
		Spec:       template.Spec,
	}
	set := func(state corev1.ContainerState) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "mover", State: state}}
	}
	set(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return
	}
	if _, err := s.kube.BatchV1().Jobs("demo").Get(ctx, job, metav1.GetOptions{}); err != nil {
		// The Job was deleted while its pod was being made: this plays the garbage collector.
		_ = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{})
		return
	}
	<-time.After(cmp.Or(s.moves, 10*time.Second))
	end := s.ends[object.Labels[cluster.LabelClaim]]
	set(corev1.ContainerState{Terminated: &end})
	_, _ = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}

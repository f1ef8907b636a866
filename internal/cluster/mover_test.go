package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func testMover() Mover {
	op := testOperation()
	return Mover{
		Operation: op, Name: op.VolumeName(0, "www"), Ordinal: 0, Claim: "www-web-0", Mount: "temporary", ReadOnly: true,
		Args: []string{"volume", "backup"}, Capabilities: []corev1.Capability{"DAC_OVERRIDE"}, Placement: Placement{Node: "n1"},
	}
}

// boundClaim is the claim that testMover mounts.
func boundClaim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "temporary", UID: "claim-uid"},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

// playPods plays the Job controller and the kubelet: when the Job is resumed there is a pod, which gets these
// statuses, one a second.
func playPods(kube *fake.Clientset, statuses ...corev1.PodStatus) {
	playPodsEvery(kube, time.Second, statuses...)
}

// playPodsEvery is playPods with another time between the statuses.
func playPodsEvery(kube *fake.Clientset, step time.Duration, statuses ...corev1.PodStatus) {
	playPodsAfter(kube, 0, step, statuses...)
}

// playPodsAfter is playPodsEvery with a pause before there is a pod.
func playPodsAfter(kube *fake.Clientset, first, step time.Duration, statuses ...corev1.PodStatus) {
	kube.PrependReactor("patch", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.PatchAction).GetName()
		go func() {
			ctx, pods := context.Background(), kube.CoreV1().Pods("demo")
			job, err := kube.BatchV1().Jobs("demo").Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return
			}
			<-time.After(first)
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name + "-abcde", Labels: job.Spec.Template.Labels},
				Spec:       job.Spec.Template.Spec,
			}
			if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
				return
			}
			for _, status := range statuses {
				<-time.After(step)
				pod.Status = status
				if _, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
					return
				}
			}
		}()
		return false, nil, nil
	})
}

// leftOver names the objects in the cluster that a mover consists of.
func leftOver(t *testing.T, c *Client) (names []string) {
	t.Helper()
	ctx := context.Background()
	jobs, err := c.Kube.BatchV1().Jobs("demo").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs.Items {
		names = append(names, "job "+job.Name)
	}
	pods, err := c.Kube.CoreV1().Pods("demo").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		names = append(names, "pod "+pod.Name)
	}
	secrets, err := c.Kube.CoreV1().Secrets("demo").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets.Items {
		names = append(names, "secret "+secret.Name)
	}
	return names
}

var running = containerState(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})

func TestRunMover(t *testing.T) {
	for name, tt := range map[string]struct {
		statuses []corev1.PodStatus
		result   string
		want     *MoverError // without Pod, Message and Log
		message  string      // part of the error's text
	}{
		"succeeds": {
			statuses: []corev1.PodStatus{waitingFor("ContainerCreating", ""), running, terminated(0, "Completed", "result")},
			result:   "result",
		},
		"fails": {
			statuses: []corev1.PodStatus{running, terminated(1, "Error", `{"error":"x"}`)},
			result:   `{"error":"x"}`, want: &MoverError{Reason: "Error", ExitCode: 1}, message: "fake logs",
		},
		"is done before it was seen running": {statuses: []corev1.PodStatus{terminated(0, "Completed", "quick")}, result: "quick"},
		"has an impossible image": {
			statuses: []corev1.PodStatus{waitingFor("InvalidImageName", "cannot parse")},
			want:     &MoverError{Reason: "InvalidImageName", ExitCode: -1}, message: "--image",
		},
		"has no image": {
			statuses: []corev1.PodStatus{waitingFor("ErrImagePull", "not found"), waitingFor("ImagePullBackOff", "not found")},
			want:     &MoverError{Reason: "ImagePullBackOff", ExitCode: -1}, message: "not found",
		},
		"has no node": {
			statuses: []corev1.PodStatus{{Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"},
			}}},
			want: &MoverError{Reason: "Unschedulable", ExitCode: -1}, message: "0/3 nodes are available (for 5m0s)",
		},
		"is evicted": {
			statuses: []corev1.PodStatus{running, {Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}},
			want:     &MoverError{Reason: "Evicted", ExitCode: -1}, message: "run the command again",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim())
				playPods(kube, tt.statuses...)
				result, err := c.RunMover(t.Context(), MoverConfig{Image: "stsbackup:test"}, testMover(), nil)
				var failed *MoverError
				switch {
				case tt.want == nil && err != nil:
					t.Error(err)
				case tt.want != nil && !errors.As(err, &failed):
					t.Errorf("error %v, want a MoverError", err)
				case tt.want != nil && (failed.Reason != tt.want.Reason || failed.ExitCode != tt.want.ExitCode):
					t.Errorf("got %+v, want %+v", failed, tt.want)
				case tt.want != nil && !strings.Contains(err.Error(), tt.message):
					t.Errorf("error %q does not say %q", err, tt.message)
				}
				if string(result) != tt.result {
					t.Errorf("result %q, want %q", result, tt.result)
				}
				if left := leftOver(t, c); len(left) > 0 {
					t.Errorf("left in the cluster: %q", left)
				}
			})
		})
	}
}

func TestRunMoverMakesThingsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim())
		playPods(kube, running, terminated(0, "Completed", "{}"))
		var job *batchv1.Job
		var secret *corev1.Secret
		kube.PrependReactor("create", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			switch object := action.(clienttesting.CreateAction).GetObject().(type) {
			case *batchv1.Job:
				object.UID = "job-uid"
				job = object.DeepCopy()
			case *corev1.Secret:
				secret = object.DeepCopy()
			}
			return false, nil, nil
		})
		var lines []string
		var waits []string
		mover := testMover()
		mover.Waiting = func(reason string) { waits = append(waits, reason) }
		config := MoverConfig{Image: "stsbackup:test", Files: func(context.Context) (KeyFiles, error) {
			return KeyFiles{Content: map[string][]byte{"password": []byte("secret")}}, nil
		}}
		if _, err := c.RunMover(t.Context(), config, mover, func(line []byte) { lines = append(lines, string(line)) }); err != nil {
			t.Fatal(err)
		}
		var made []string
		for _, action := range kube.Actions() {
			if slices.Contains([]string{"create", "patch", "delete"}, action.GetVerb()) {
				made = append(made, action.GetVerb()+" "+action.GetResource().Resource)
			}
		}
		want := []string{
			"create serviceaccounts",
			"create jobs",
			"create secrets",
			"patch jobs",
			"create pods",
			"delete jobs",
			"delete secrets",
			"delete pods",
		}
		if !slices.Equal(made, want) {
			t.Errorf("did %q, want %q", made, want)
		}
		if job.Spec.Suspend == nil || !*job.Spec.Suspend {
			t.Error("the Job was not made suspended: its pod could start before its Secret")
		}
		if string(secret.Data["password"]) != "secret" || secret.Immutable == nil || !*secret.Immutable {
			t.Errorf("the Secret holds %q, immutable %v", secret.Data, secret.Immutable)
		}
		if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != "job-uid" {
			t.Errorf("the Secret's owner is %+v, want the Job", secret.OwnerReferences)
		}
		if !slices.Equal(waits, []string{""}) {
			t.Errorf("was told %q, want once that it runs", waits)
		}
		if !slices.Equal(lines, []string{"fake logs"}) {
			t.Errorf("log lines %q", lines)
		}
		checkMoverPod(t, job.Spec.Template)
	})
}

// checkMoverPod checks that the pod meets the demands of a restricted cluster.
func checkMoverPod(t *testing.T, template corev1.PodTemplateSpec) {
	t.Helper()
	spec, container := template.Spec, template.Spec.Containers[0]
	if *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Error("the pod gets a token, Service links, or is restarted")
	}
	if profile := spec.SecurityContext.SeccompProfile; profile == nil || profile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("seccomp profile %+v, want the runtime's", profile)
	}
	security := container.SecurityContext
	if *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem ||
		!slices.Equal(
			security.Capabilities.Drop,
			[]corev1.Capability{"ALL"},
		) || !slices.Equal(security.Capabilities.Add, []corev1.Capability{"DAC_OVERRIDE"}) {
		t.Errorf("security context %+v", security)
	}
	if !container.VolumeMounts[0].ReadOnly || container.VolumeMounts[0].MountPath != "/volume" {
		t.Errorf("the claim's mount %+v is not read-only", container.VolumeMounts[0])
	}
	if spec.Volumes[0].PersistentVolumeClaim.ClaimName != "temporary" || *spec.Volumes[1].Secret.DefaultMode != 0o400 {
		t.Errorf("volumes %+v", spec.Volumes)
	}
	if container.VolumeMounts[2].MountPath != "/tmp" || spec.Volumes[2].Name != container.VolumeMounts[2].Name ||
		spec.Volumes[2].EmptyDir == nil {
		t.Errorf("no place for temporary files: %+v, %+v", container.VolumeMounts, spec.Volumes)
	}
	if template.Labels["app"] != "" || template.Labels[LabelMover] == "" {
		t.Errorf("labels %v: a Service of the StatefulSet must not select the pod", template.Labels)
	}
}

func TestRunMoverLeavesNothingWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim())
		playPods(kube, running)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		if _, err := c.RunMover(ctx, MoverConfig{Image: "stsbackup:test"}, testMover(), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
	})
}

func TestRunMoverTellsWhyThereIsNoPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim(), &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "e"}, InvolvedObject: corev1.ObjectReference{UID: "job-uid"},
			Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: "exceeded quota: pods",
		})
		kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
			action.(clienttesting.CreateAction).GetObject().(*batchv1.Job).UID = "job-uid"
			return false, nil, nil
		})
		_, err := c.RunMover(t.Context(), MoverConfig{StartTimeout: 30 * time.Second}, testMover(), nil)
		var failed *MoverError
		if !errors.As(err, &failed) || failed.Reason != "FailedCreate" || !strings.Contains(failed.Message, "exceeded quota") {
			t.Errorf("error %v, want the Job's own event", err)
		}
	})
}

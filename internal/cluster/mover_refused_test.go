package cluster

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// RunMover does not wait for what admission refuses for good as it waits for a node that is short of memory.
func TestMoverThatIsRefused(t *testing.T) {
	const start = 2 * time.Minute
	for name, tt := range map[string]struct {
		message string
		next    string // what to do, if that differs from most cases
		admits  bool   // after 8 seconds
		within  time.Duration
	}{
		"Pod Security": {
			message: `pods "m-x" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities`,
			within:  20 * time.Second,
		},
		"LimitRange": {
			message: `pods "m-x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi`, within: 20 * time.Second,
		},
		"webhook": {
			message: `admission webhook "policy.example.com" denied the request: no images from there`, within: 20 * time.Second,
		},
		"quota that wants what is not there": {
			message: `pods "m-x" is forbidden: failed quota: q: must specify limits.cpu`, within: 20 * time.Second,
		},
		"no such account": {
			message: `pods "m-x" is forbidden: error looking up service account demo/nobody: serviceaccount "nobody" not found`,
			next:    "leave --mover-service-account out", within: 20 * time.Second,
		},
		"quota that is smaller": {
			message: `pods "m-x" is forbidden: exceeded quota: q, requested: limits.cpu=2, used: limits.cpu=0, limited: limits.cpu=1`,
			within:  20 * time.Second,
		},
		"quota that is used up": {
			message: `pods "m-x" is forbidden: exceeded quota: q, requested: limits.cpu=1, used: limits.cpu=9, limited: limits.cpu=9`,
			within:  start + 10*time.Second,
		},
		"webhook that does not answer": {
			message: `Internal error occurred: failed calling webhook "policy.example.com": connect: connection refused`,
			within:  start + 10*time.Second,
		},
		"API server that has just started": {message: `pods "m-x" is forbidden: not yet ready to handle request`, within: start + 10*time.Second},
		"refused and then admitted":        {message: `pods "m-x" is forbidden: no`, admits: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, kube, _ := fakeCluster(boundClaim(), &corev1.Event{
					ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "e"}, InvolvedObject: corev1.ObjectReference{UID: "job-uid"},
					Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: "Error creating: " + tt.message,
				})
				kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
					action.(clienttesting.CreateAction).GetObject().(*batchv1.Job).UID = "job-uid"
					return false, nil, nil
				})
				if tt.admits {
					playPodsAfter(kube, 8*time.Second, time.Second, running, terminated(0, "Completed", "result"))
				}
				begun := time.Now()
				result, err := c.RunMover(t.Context(), MoverConfig{StartTimeout: start}, testMover(), nil)
				if tt.admits {
					if err != nil || string(result) != "result" {
						t.Errorf("result %q, %v", result, err)
					}
					return
				}
				var failed *MoverError
				if !errors.As(err, &failed) || failed.Reason != "FailedCreate" || !strings.Contains(err.Error(), tt.message) ||
					!strings.Contains(err.Error(), cmp.Or(tt.next, "let the namespace admit the mover pod")) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(begun); took > tt.within || took < tt.within-15*time.Second {
					t.Errorf("given up after %s, want %s at most, and not much less", took, tt.within)
				}
				if left := leftOver(t, c); len(left) > 0 {
					t.Errorf("left in the cluster: %q", left)
				}
			})
		})
	}
}

// A probe is like other movers, but has no volume.
func TestProbeMover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		playPods(kube, running, terminated(0, "Completed", "{}"))
		var job *batchv1.Job
		kube.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
			job = action.(clienttesting.CreateAction).GetObject().(*batchv1.Job).DeepCopy()
			return false, nil, nil
		})
		op := testOperation()
		probe := Mover{
			Operation:    op,
			Name:         op.Name(probePart),
			Capabilities: []corev1.Capability{"DAC_OVERRIDE"},
			Placement:    Placement{Node: "n1"},
		}
		result, err := c.ProbeMover(t.Context(), MoverConfig{Image: "stsbackup:test"}, probe)
		if err != nil || string(result) != "{}" {
			t.Fatalf("result %q, %v", result, err)
		}
		if left := leftOver(t, c); len(left) > 0 {
			t.Errorf("left in the cluster: %q", left)
		}
		config := MoverConfig{Image: "stsbackup:test", ServiceAccount: job.Spec.Template.Spec.ServiceAccountName}
		real := moverJob(config, testMover()).Spec.Template.Spec
		got := job.Spec.Template.Spec
		if len(got.Volumes) != 2 || len(got.Containers[0].VolumeMounts) != 2 || got.Volumes[0].Secret == nil ||
			got.Volumes[0].Secret.SecretName != probe.Name {
			t.Errorf("volumes %+v, mounted %+v", got.Volumes, got.Containers[0].VolumeMounts)
		}
		got.Volumes, got.Containers[0].VolumeMounts, got.Containers[0].Args = nil, nil, nil
		real.Volumes, real.Containers[0].VolumeMounts, real.Containers[0].Args = nil, nil, nil
		if diff := gocmp.Diff(real, got); diff != "" {
			t.Errorf("a probe differs from other movers (-other +probe):\n%s", diff)
		}
		if job.Labels[LabelClaim] != "" || job.Labels[LabelMover] != probe.Name || job.Labels[LabelStatefulSet] != "web" {
			t.Errorf("labels %v", job.Labels)
		}
	})
}

// A probe has little to do: RunMover waits for it less long than for a mover that copies terabytes.
func TestProbeThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		playPodsEvery(kube, 4*time.Minute, running, terminated(0, "Completed", "{}"))
		log := &kubeletLog{lines: []loggedLine{{time.Now(), "1"}}}
		playLog(kube, func() *kubeletLog { return log }, func() error { return nil })
		begun := time.Now()
		_, err := c.ProbeMover(t.Context(), MoverConfig{}, Mover{Operation: testOperation(), Name: testOperation().Name(probePart)})
		var failed *MoverError
		if !errors.As(err, &failed) || failed.Reason != reasonStalled {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > 7*time.Minute {
			t.Errorf("given up after %s, of which it ran for all but 4 minutes", took)
		}
		time.Sleep(4 * time.Minute) //nolint:forbidigo // the clock of the bubble, until the kubelet sees that there is no pod
	})
}

package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// stays marks objects of a resource as deleted, and never removes them.
func stays(tracker clienttesting.ObjectTracker) clienttesting.ReactionFunc {
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		deletion := action.(clienttesting.DeleteActionImpl)
		object, err := tracker.Get(deletion.GetResource(), deletion.GetNamespace(), deletion.GetName())
		if err != nil {
			return true, nil, err
		}
		object = object.DeepCopyObject()
		accessor, err := meta.Accessor(object)
		if err != nil {
			return true, nil, err
		}
		accessor.SetDeletionTimestamp(new(metav1.Now()))
		return true, nil, tracker.Update(deletion.GetResource(), object, deletion.GetNamespace())
	}
}

// lostNode is a node that no longer reports.
func lostNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "Kubelet stopped posting node status.",
			LastTransitionTime: metav1.NewTime(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)),
		}}},
	}
}

// told is what was said while a removal waited, and when.
type told struct {
	begun time.Time
	after []time.Duration
	texts []string
}

func (s *told) removing(limit time.Duration) Removing {
	s.begun = time.Now()
	return Removing{Limit: limit, Waiting: func(text string) {
		s.after, s.texts = append(s.after, time.Since(s.begun)), append(s.texts, text)
	}}
}

// soon fails the test unless a message within 10 s says, with all of these words, what the removal waits for.
func (s *told) soon(t *testing.T, words ...string) {
	t.Helper()
	if len(s.texts) == 0 || s.after[0] > 10*time.Second {
		t.Errorf("told %q after %s, want it within 10 s", s.texts, s.after)
		return
	}
	for _, word := range words {
		if !strings.Contains(s.texts[0], word) {
			t.Errorf("told %q, without %q", s.texts[0], word)
		}
	}
}

// A pod on a node that is cut off stays Terminating until the node is back.
func TestSweepOfAPodOnALostNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := testOperation()
		left := remains(dead, dead.Name)
		left.pod.Spec.NodeName = "n1"
		other := dead
		other.ID = "20261120T081200Z-00000001"
		gone := remains(other, other.Name)
		gone.claim.UID, gone.vs.UID = "claim-2", "vs-2"
		c := sweepCluster(t, slices.Concat(left.kube(), gone.kube(), []runtime.Object{left.vs, gone.vs, lostNode("n1")})...)
		kube, _ := fakes(t, c)
		for _, resource := range []string{"pods", "persistentvolumeclaims"} {
			kube.PrependReactor("delete", resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
				if !strings.HasPrefix(action.(clienttesting.DeleteAction).GetName(), left.job.Name) {
					return false, nil, nil
				}
				return stays(kube.Tracker())(action)
			})
		}
		var said told
		begun := time.Now()
		swept, err := c.Sweep(t.Context(), currentOperation(), said.removing(0))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 30*time.Second || took > 2*time.Minute {
			t.Errorf("took %s", took)
		}
		said.soon(t, "mover pod demo/"+left.pod.Name, "node n1 is NotReady since 2026-11-21T08:00:00Z", "Kubelet stopped posting")
		removed := append(gone.names(), "Job demo/"+left.job.Name, "VolumeSnapshot demo/"+left.vs.Name, "ServiceAccount demo/"+left.account.Name)
		slices.Sort(removed)
		slices.Sort(swept.Removed)
		if diff := cmp.Diff(removed, swept.Removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		want := []*Leftover{
			{
				Object: "mover pod demo/" + left.pod.Name,
				Pod:    left.pod.Name,
				Node:   "n1",
				Claim:  "www-web-0",
				Mounts: []string{left.claim.Name},
				MayRun: true,
				Reason: "its node n1 is NotReady since 2026-11-21T08:00:00Z (Kubelet stopped posting node status.)",
				Next:   `bring node n1 back, or once it is known to be off, run "kubectl -n demo delete pod ` + left.pod.Name + ` --force"`,
			},
			{Object: "temporary claim demo/" + left.claim.Name, Reason: "it goes after mover pod demo/" + left.pod.Name},
		}
		if diff := cmp.Diff(want, swept.Left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		if !swept.MayRun(left.pod.Name) || swept.MayRun(gone.pod.Name) {
			t.Errorf("what may run is not told from what does not: %+v", swept)
		}
	})
}

// The wait also ends for objects that stay for other reasons.
func TestSweepOfWhatDoesNotGo(t *testing.T) {
	for name, tt := range map[string]struct {
		resource string
		change   func(*remnants)
		object   func(remnants) string
		reason   string
		silent   bool
	}{
		"a claim that a pod of somebody else uses": {
			resource: "persistentvolumeclaims", change: func(r *remnants) { r.pod.Labels = nil },
			object: func(r remnants) string { return "temporary claim demo/" + r.claim.Name }, reason: "it is used by pod",
		},
		"a claim with a finalizer": {
			resource: "persistentvolumeclaims", change: func(r *remnants) { r.claim.Finalizers = []string{"example.com/keep"} },
			object: func(r remnants) string { return "temporary claim demo/" + r.claim.Name }, reason: "held by its finalizers example.com/keep",
		},
		"a VolumeSnapshot with a finalizer": {
			resource: "volumesnapshots", change: func(r *remnants) { r.vs.Finalizers = []string{"example.com/keep"} },
			object: func(r remnants) string { return "VolumeSnapshot demo/" + r.vs.Name }, reason: "held by its finalizers example.com/keep",
		},
		"a Job with a finalizer": {
			resource: "jobs", change: func(r *remnants) { r.job.Finalizers = []string{"example.com/keep"} }, silent: true, // nobody waits for it
			object: func(r remnants) string { return "Job demo/" + r.job.Name }, reason: "held by its finalizers example.com/keep",
		},
		"a pod that has ended, with a finalizer": {
			resource: "pods", change: func(r *remnants) {
				r.pod.Finalizers, r.pod.Status.Phase = []string{"example.com/keep"}, corev1.PodSucceeded
			},
			object: func(r remnants) string { return "mover pod demo/" + r.pod.Name }, reason: "it has ended, and is held by its finalizers " +
				"example.com/keep",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := testOperation()
				all := remains(dead, dead.Name)
				all.pod.Spec.NodeName = "n1"
				tt.change(&all)
				c := sweepCluster(t, append(all.kube(), all.vs)...)
				kube, snapshots := fakes(t, c)
				kube.PrependReactor("delete", tt.resource, stays(kube.Tracker()))
				snapshots.PrependReactor("delete", tt.resource, stays(snapshots.Tracker()))
				var said told
				begun := time.Now()
				swept, err := c.Sweep(t.Context(), currentOperation(), said.removing(time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took > 61*time.Second {
					t.Errorf("took %s", took)
				}
				at := slices.IndexFunc(swept.Left, func(l *Leftover) bool { return l.Object == tt.object(all) })
				if at < 0 || !strings.Contains(swept.Left[at].Reason, tt.reason) {
					t.Errorf("left %+v, want %s because %s", swept.Left, tt.object(all), tt.reason)
				} else if swept.Left[at].MayRun || swept.MayRun(all.pod.Name) {
					t.Errorf("%+v: nothing of that can run", swept.Left[at])
				}
				if slices.Contains(swept.Removed, tt.object(all)) {
					t.Errorf("removed %q, and it is still there", swept.Removed)
				}
				if !slices.Contains(swept.Removed, "ServiceAccount demo/"+all.account.Name) {
					t.Errorf("removed %q, want what comes after, too", swept.Removed)
				}
				if !tt.silent {
					said.soon(t, tt.object(all), tt.reason)
				}
			})
		})
	}
}

// A restore's mover writes to a claim of the StatefulSet: the Leftover must say so.
func TestLeftoverThatMayWrite(t *testing.T) {
	dead := testOperation()
	for name, tt := range map[string]struct {
		readOnly bool
		change   func(*corev1.Pod)
		want     []string
		mayRun   bool
	}{
		"runs":                {change: func(*corev1.Pod) {}, want: []string{"www-web-0"}, mayRun: true},
		"reads":               {change: func(*corev1.Pod) {}, readOnly: true, mayRun: true},
		"has ended":           {change: func(pod *corev1.Pod) { pod.Status = terminated(0, "Completed", "") }},
		"has failed":          {change: func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }},
		"was never scheduled": {change: func(pod *corev1.Pod) { pod.Spec.NodeName = "" }},
		"has a device": {
			change: func(pod *corev1.Pod) {
				container := &pod.Spec.Containers[0]
				container.VolumeMounts, container.VolumeDevices = container.VolumeMounts[1:], []corev1.VolumeDevice{{Name: "volume"}}
			}, want: []string{"www-web-0"}, mayRun: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			mover := Mover{Operation: dead, Name: dead.VolumeName(0, "www"), Claim: "www-web-0", Mount: "www-web-0", ReadOnly: tt.readOnly}
			pod := podOf(moverJob(MoverConfig{}, mover))
			pod.Spec.NodeName = "n1"
			tt.change(pod)
			c, _, _ := fakeCluster()
			left := c.podLeftover(t.Context(), pod)
			if !slices.Equal(left.MayWrite, tt.want) || left.MayRun != tt.mayRun || !slices.Equal(left.Mounts, []string{"www-web-0"}) {
				t.Errorf("%+v: want that it may write to %q, may run: %t", left, tt.want, tt.mayRun)
			}
		})
	}
}

func TestWhyPodStays(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	deleted := func(at time.Time) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:         "demo",
				Name:              "p",
				DeletionTimestamp: new(metav1.NewTime(at)),
			},
			Spec: corev1.PodSpec{NodeName: "n1"},
		}
	}
	for name, tt := range map[string]struct {
		pod          *corev1.Pod
		trouble      string
		reason, next string
	}{
		"in its grace period": {deleted(now.Add(time.Second)), "", "it is ending on node n1, and has until 2026-11-21T08:00:01Z to do so", ""},
		"after it":            {deleted(now), "", "it should have ended on node n1 at 2026-11-21T08:00:00Z", "kubectl describe node n1"},
		"on a lost node": {deleted(now.Add(time.Second)), "its node n1 is gone", "its node n1 is gone", "kubectl -n demo delete pod p " +
			"--force"},
		"not deleted":   {&corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1"}}, "", "it is on node n1 and is not being ended", ""},
		"not scheduled": {&corev1.Pod{}, "", "it is not being deleted", ""},
	} {
		reason, next := whyPodStays(tt.pod, tt.trouble, now)
		if reason != tt.reason || !strings.Contains(next, tt.next) || (next == "") != (tt.next == "") {
			t.Errorf("%s: %q, %q", name, reason, next)
		}
	}
}

func TestNodeTrouble(t *testing.T) {
	ready := lostNode("ready")
	ready.Status.Conditions[0].Status = corev1.ConditionTrue
	for name, want := range map[string]string{"ready": "", "lost": "its node lost is NotReady", "gone": "its node gone is not in the " +
		"cluster any more"} {
		c, _, _ := fakeCluster(ready, lostNode("lost"))
		if got := c.nodeTrouble(t.Context(), name); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
	c, kube, _ := fakeCluster(lostNode("lost"))
	kube.PrependReactor("get", "nodes", denied)
	if got := c.nodeTrouble(t.Context(), "lost"); got != "" {
		t.Errorf("without the right to look: %q", got)
	}
}

// The end of RunMover has a limit, too, and names the node of its pod.
func TestRunMoverThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster(boundClaim(), lostNode("n1"))
		playPods(kube, running)
		kube.PrependReactor("*", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if made, is := action.(clienttesting.CreateAction); is { // or updated, which looks the same
				made.GetObject().(*corev1.Pod).Spec.NodeName = "n1"
			}
			return false, nil, nil
		})
		kube.PrependReactor("delete", "pods", stays(kube.Tracker()))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		mover := testMover()
		var waits []string
		mover.Waiting = func(reason string) { waits = append(waits, reason) }
		begun := time.Now()
		_, err := c.RunMover(ctx, MoverConfig{Image: "stsbackup:test"}, mover, nil)
		if took := time.Since(begun) - 10*time.Second; took < 30*time.Second || took > cleanupWithin+requestsWithin {
			t.Errorf("its end took %s", took)
		}
		var left *Leftover
		if !errors.Is(err, context.Canceled) || !errors.As(err, &left) || left.Pod != mover.Name+"-abcde" || left.Node != "n1" || !left.MayRun {
			t.Errorf("error %v, want one that names pod and node", err)
		}
		if len(waits) != 2 || !strings.Contains(waits[1], mover.Name+"-abcde") || !strings.Contains(waits[1], "n1") {
			t.Errorf("was told %q", waits)
		}
	})
}

// The single removals at the end of a volume have limits, too.
func TestDeletionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := testOperation()
		all := remains(dead, dead.Name)
		all.claim.Finalizers, all.vs.Finalizers = []string{"example.com/keep"}, []string{"example.com/keep"}
		c := sweepCluster(t, all.claim, all.vs)
		kube, snapshots := fakes(t, c)
		kube.PrependReactor("delete", "*", stays(kube.Tracker()))
		snapshots.PrependReactor("delete", "*", stays(snapshots.Tracker()))
		for name, remove := range map[string]func(Removing) error{
			"temporary claim demo/" + all.claim.Name: func(r Removing) error { return c.DeleteTemporaryClaim(t.Context(), all.claim, r) },
			"VolumeSnapshot demo/" + all.vs.Name:     func(r Removing) error { return c.DeleteVolumeSnapshot(t.Context(), all.vs, r) },
		} {
			var said told
			begun := time.Now()
			err := remove(said.removing(40 * time.Second))
			var left *Leftover
			if !errors.As(err, &left) || left.Object != name || !strings.Contains(err.Error(), "example.com/keep") {
				t.Errorf("error %v, want what keeps %s", err, name)
			}
			if took := time.Since(begun); took < 39*time.Second || took > 41*time.Second {
				t.Errorf("took %s", took)
			}
			said.soon(t, name, "example.com/keep")
		}
	})
}

// A sweep retries a deletion that fails for a while, and reports one that keeps failing.
func TestSweepTriesAgain(t *testing.T) {
	for name, failures := range map[string]int{"for a while": 3, "for good": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := testOperation()
				all := remains(dead, dead.Name)
				c := sweepCluster(t, all.job, all.pod)
				kube, _ := fakes(t, c)
				tries := 0
				kube.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
					if tries++; tries > failures {
						return false, nil, nil
					}
					return true, nil, apierrors.NewInternalError(errors.New("webhook down"))
				})
				swept, err := c.Sweep(t.Context(), currentOperation(), Removing{})
				if err != nil {
					t.Fatal(err)
				}
				if failures == 3 && len(swept.Left) > 0 {
					t.Errorf("left %+v", swept.Left)
				}
				if failures > 3 && (len(swept.Left) != 1 || !strings.Contains(swept.Left[0].Reason, "webhook down")) {
					t.Errorf("left %+v, want the pod with the failure", swept.Left)
				}
			})
		})
	}
}

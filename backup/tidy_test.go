package backup

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// strandedPod is the pod of a dead operation's mover on a node that is cut off.
func strandedPod(op cluster.Operation, mount string, readOnly bool) *corev1.Pod {
	job := op.VolumeName(0, "www")
	labels := op.VolumeLabels(0, "www-web-0")
	labels[cluster.LabelMover] = job
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: op.Namespace, Name: job + "-x7k2p", Labels: labels, Annotations: op.Annotations("www-web-0"), UID: "stranded",
			DeletionTimestamp: new(metav1.NewTime(time.Now().Add(-time.Hour))),
		},
		Spec: corev1.PodSpec{
			NodeName: "n9",
			Containers: []corev1.Container{{
				Name: "mover", VolumeMounts: []corev1.VolumeMount{{Name: "volume", MountPath: "/volume", ReadOnly: readOnly}},
			}},
			Volumes: []corev1.Volume{{Name: "volume", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: mount},
			}}},
		},
	}
}

func deadOperation() cluster.Operation {
	return cluster.Operation{ID: "19991231T235900Z-3fa91c07", Namespace: "demo", StatefulSet: "web"}
}

// backUp runs a backup of the stage without checking what it leaves.
func (s *stage) backUp(ctx context.Context) (committed int, err error) {
	_, err = s.engine.Run(ctx, Request{
		Namespace:            "demo",
		StatefulSet:          "web",
		Capture:              capture.Options{Method: method.Auto},
		Holder:               "test",
		SnapshotTimeout:      time.Minute,
		SnapshotReadyTimeout: time.Hour,
		Mover:                cluster.MoverConfig{Image: "stsbackup:test"},
	})
	<-time.After(time.Minute) // until the pods have reached their end
	return len(s.repo.committed), err
}

// TestRunBesideAStrandedMover leaves the mover of a dead operation on a node that is cut off. It blocks nothing
// except the claims to which it may still write, and the repository on which it holds a lock.
func TestRunBesideAStrandedMover(t *testing.T) {
	for name, tt := range map[string]struct {
		mount    string
		readOnly bool
		ended    bool
		refused  bool
	}{
		"of a backup by a cut":         {mount: deadOperation().VolumeName(0, "www"), readOnly: true},
		"of a live backup":             {mount: "www-web-0", readOnly: true},
		"of a restore":                 {mount: "www-web-0", refused: true},
		"of a restore, that has ended": {mount: "www-web-0", ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMoverStage(t)
				stranded := strandedPod(deadOperation(), tt.mount, tt.readOnly)
				if tt.ended {
					stranded.Status.Phase = corev1.PodSucceeded
				}
				if err := s.kube.Tracker().Add(stranded); err != nil {
					t.Fatal(err)
				}
				lock := repository.Holder{Host: stranded.Name, Operation: deadOperation().MoverMark("cluster-uid")}
				gone := repository.Holder{Host: deadOperation().VolumeName(1, "www") + "-x7k2p", Operation: lock.Operation}
				s.repo.locks = []repository.Holder{lock, gone}
				begun := time.Now()
				committed, err := s.backUp(t.Context())
				events := strings.Join(s.did, "\n")
				if tt.refused {
					var refusal *cluster.Refusal
					if !errors.As(err, &refusal) || errors.Is(err, cluster.ErrBusy) || committed != 0 || strings.Contains(events, "capture") {
						t.Errorf("error %v, committed %d, want a refusal that counts as a failure, before anything:\n%s", err, committed, events)
						return
					}
					for _, word := range []string{
						"StatefulSet demo/web", stranded.Name, "node n9", "claim www-web-0",
						"kubectl -n demo delete pod " + stranded.Name + " --force",
					} {
						if !strings.Contains(err.Error(), word) {
							t.Errorf("error %q does not say %q", err, word)
						}
					}
					return
				}
				if err != nil || committed != 1 ||
					!strings.Contains(events, "note warning: left by a dead operation: mover pod demo/"+stranded.Name) {
					t.Errorf("error %v, committed %d:\n%s", err, committed, events)
				}
				if !strings.Contains(events, "note waiting until this is gone: mover pod demo/"+stranded.Name) {
					t.Errorf("nothing was said of what is waited for:\n%s", events)
				}
				if took := time.Since(begun); took > 5*time.Minute {
					t.Errorf("took %s", took)
				}
				var locks []string
				for _, holder := range s.repo.locks {
					locks = append(locks, holder.Host)
				}
				if want := []string{stranded.Name}; !tt.ended && !slices.Equal(locks, want) || tt.ended && len(locks) > 0 {
					t.Errorf("locks %q, want that of %q while it may run", locks, want)
				}
			})
		})
	}
}

// TestRunWhoseMoverDoesNotEnd strands one of the backup's own movers: the data is saved, the warning names what is left, its lock stays.
func TestRunWhoseMoverDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMoverStage(t)
		s.kube.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
			pods := corev1.SchemeGroupVersion.WithResource("pods")
			object, err := s.kube.Tracker().Get(pods, "demo", action.(clienttesting.DeleteAction).GetName())
			if err != nil {
				return true, nil, err
			}
			pod := object.(*corev1.Pod).DeepCopy()
			pod.Status.ContainerStatuses, pod.Spec.NodeName, pod.DeletionTimestamp = nil, "n9", new(metav1.Now())
			return true, nil, s.kube.Tracker().Update(pods, pod, "demo")
		})
		id := time.Now().UTC().Format("20060102T150405Z") + "-3f3f3f3f"
		op := cluster.Operation{ID: id, Namespace: "demo", StatefulSet: "web"}
		lock := repository.Holder{Host: op.VolumeName(0, "www") + "-pod", Operation: op.MoverMark("cluster-uid")}
		s.repo.locks = []repository.Holder{lock, {Host: op.VolumeName(0, "www") + "-gone", Operation: lock.Operation}}
		committed, err := s.backUp(t.Context())
		events := strings.Join(s.did, "\n")
		if err != nil || committed != 1 || !strings.Contains(events, "note warning: clean up: mover pod demo/"+lock.Host) ||
			!strings.Contains(events, "node n9") {
			t.Errorf("error %v, committed %d:\n%s", err, committed, events)
		}
		if len(s.repo.locks) != 1 || s.repo.locks[0].Host != lock.Host {
			t.Errorf("locks %+v, want that of the mover that may run", s.repo.locks)
		}
	})
}

package restore

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
)

// notes is a Reporter that keeps what it is told.
type notes struct {
	report.Silent
	mu    sync.Mutex
	lines []string
}

func (n *notes) Warn(text string) { n.Note("warning: " + text) }

func (n *notes) Note(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, text)
}

// strandedPod is the pod of a dead operation's mover, with an ordinal's claim or a temporary one, on a node that is cut off.
func strandedPod(ordinal int32, temporary, readOnly bool) *corev1.Pod {
	op := cluster.Operation{ID: "20261120T081200Z-3fa91c07", Namespace: ns, StatefulSet: "web"}
	claim := cluster.ClaimName("www", "web", ordinal)
	job, mount := op.VolumeName(ordinal, "www"), claim
	if temporary {
		mount = job
	}
	labels := op.VolumeLabels(ordinal, claim)
	labels[cluster.LabelMover] = job
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: job + "-x7k2p", Labels: labels, Annotations: op.Annotations(claim), DeletionTimestamp: new(metav1.Now()),
		},
		Spec: corev1.PodSpec{
			NodeName:   "n9",
			Containers: []corev1.Container{{Name: "mover", VolumeMounts: []corev1.VolumeMount{{Name: "volume", ReadOnly: readOnly}}}},
			Volumes: []corev1.Volume{{Name: "volume", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: mount},
			}}},
		},
	}
}

// A pod that a dead operation has left on a lost node prevents a restore only if it mounts a claim that the
// restore replaces: that claim could not go, and the StatefulSet would stay down.
func TestRestoreBesideAStrandedMover(t *testing.T) {
	for name, tt := range map[string]struct {
		pod     *corev1.Pod
		refused bool
	}{
		"that writes":                    {pod: strandedPod(1, false, false), refused: true},
		"that reads":                     {pod: strandedPod(1, false, true), refused: true},
		"that reads a cut":               {pod: strandedPod(1, true, true)},
		"of a claim that stays as it is": {pod: strandedPod(7, false, true)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := starts()["all claims there"].world(t)
				w.stamp(tt.pod)
				w.must(w.tracker.Create(podGVR, tt.pod, ns))
				before := w.state()
				said := &notes{}
				restorer := w.restorer()
				restorer.Reporter = said
				record := newRecord()
				situation, err := Look(t.Context(), w.client(), record, ns, "web")
				w.must(err)
				begun := time.Now()
				_, err = restorer.Run(t.Context(), NewPlan(situation, PlanOptions{}), record)
				if took := time.Since(begun); took > 3*time.Minute {
					t.Errorf("took %s", took)
				}
				lines := strings.Join(said.lines, "\n")
				if !strings.Contains(lines, "waiting until this is gone: mover pod demo/"+tt.pod.Name) {
					t.Errorf("nothing was said of what is waited for:\n%s", lines)
				}
				if !tt.refused {
					if err != nil || !strings.Contains(lines, "warning: left by a dead operation: mover pod demo/"+tt.pod.Name) {
						t.Errorf("error %v; told:\n%s", err, lines)
					}
					w.restored(before)
					return
				}
				var refusal *cluster.Refusal
				if !errors.As(err, &refusal) {
					t.Errorf("error %v, want a refusal", err)
					return
				}
				for _, word := range []string{
					"StatefulSet demo/web", tt.pod.Name, "node n9", "claim www-web-1", "kubectl -n demo delete pod " + tt.pod.Name + " --force",
				} {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("error %q does not say %q", err, word)
					}
				}
				if after := w.state(); after.Replicas != before.Replicas || after.Journal || len(after.Claims) != len(before.Claims) ||
					after.Claims["www-web-1"] != before.Claims["www-web-1"] {
					t.Errorf("it was refused, and has changed something: %+v, before %+v", after, before)
				}
			})
		})
	}
}

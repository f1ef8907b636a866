package restore

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestPlanWhileTheMoverGoesOn: a restore was killed while its mover fills a volume that people made. The mover is
// gone before anything is done, so the plan is the same as without it. It is not the same with somebody else's pod.
func TestPlanWhileTheMoverGoesOn(t *testing.T) {
	whole := situation()
	wanted := NewPlan(*whole, PlanOptions{})
	j := newJournal(&wanted, "op-1", wanted.Started)
	s := situation()
	*s.StatefulSet.Spec.Replicas = 0
	s.StatefulSet.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: cluster.RestoringGate}}
	j.Phase, j.Held = PhaseFill, s.StatefulSet.Generation+1
	s.StatefulSet.Generation = j.Held
	s.Journal = j
	made := wanted.Volumes[0].manifest.DeepCopy()
	made.UID, made.Spec.VolumeName = "made", "by-hand"
	made.Annotations[annotationOperation] = "op-1"
	s.Claims = []corev1.PersistentVolumeClaim{*made}
	s.spare("by-hand", "1Gi", func(volume *corev1.PersistentVolume) {
		volume.Status.Phase = corev1.VolumeBound
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: made.Name, UID: made.UID}
	})
	j.Volumes[0].Made, j.Volumes[0].State, j.Volumes[0].Spare, j.Volumes[0].Filled = "made", StateMade, "by-hand", true

	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "some-mover", Namespace: ns, Labels: map[string]string{
		cluster.LabelManagedBy: cluster.ManagedBy, cluster.LabelMover: "some", cluster.LabelOperation: cluster.LabelValue("op-1"),
	}}}
	pod.Spec.NodeName, pod.Spec.Volumes, pod.Status.Phase = "n1", []corev1.Volume{mount(made.Name)}, corev1.PodRunning
	plan := func(pods ...corev1.Pod) Plan {
		s.Pods = pods
		s.dropMovers()
		return NewPlan(*s, PlanOptions{Interrupted: WayResume})
	}
	without, with := plan(), plan(pod)
	if got := without.Volumes[0]; got.Present.Fate != "filled again" || got.Spare != "by-hand" {
		t.Fatalf("without a mover, the volume is %q, on %q", got.Present.Fate, got.Spare)
	}
	if got := with.Volumes[0]; got.Present.Fate != "filled again" || !without.Same(with) {
		t.Errorf("while the mover runs, the volume is %q, on %q: the plan is another when the mover is gone", got.Present.Fate, got.Spare)
	}
	s.Pods = []corev1.Pod{pod}
	s.dropMovers()
	if back := NewPlan(*s, PlanOptions{Kind: KindUndo}); !strings.Contains(back.Volumes[0].Present.Fate, "is removed") {
		t.Errorf("putting back while the mover runs: %q", back.Volumes[0].Present.Fate)
	}
	pod.Labels = nil
	if got := plan(pod).Volumes[0]; got.Spare != "" || !strings.Contains(got.Present.Fate, "pod some-mover uses it") {
		t.Errorf("while another pod uses it, the volume is %q, on %q", got.Present.Fate, got.Spare)
	}
}

package restore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Without an interrupted restore nothing is settled: a plan that did something would do what nobody has asked for.
func TestNothingInterrupted(t *testing.T) {
	for _, way := range []Way{WayResume, WayKeep, WayPutBack} {
		for _, replicas := range []int32{0, 3} {
			s := situation()
			s.StatefulSet.Spec.Replicas = &replicas
			plan := NewPlan(*s, PlanOptions{Interrupted: way})
			if err := plan.Err(); !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "no restore of it was interrupted") ||
				!strings.Contains(err.Error(), `"stsbackup restore demo/web"`) {
				t.Errorf("%s with %d replicas: %v", way, replicas, err)
			}
			if len(plan.Steps) > 0 || len(plan.Volumes) > 0 {
				t.Errorf("%s with %d replicas would do %q", way, replicas, plan.Steps)
			}
		}
	}
}

// asideBy is a volume of the ordinal's claim that the operation has set aside.
func asideBy(t *testing.T, s *Situation, ordinal int, operation, why string) corev1.PersistentVolume {
	t.Helper()
	volume := newVolume(fmt.Sprintf("pv-%s-%d", operation, ordinal), "fast", "Retain")
	claim := s.Claims[ordinal].DeepCopy()
	claim.Spec.VolumeName = volume.Name
	volume.UID = "uid of " + claim.UID
	volume.Status.Phase = corev1.VolumeReleased
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: "gone"}
	manifest := fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q},"spec":{"volumeName":%q}}`, claim.Name, ns, volume.Name)
	volume.Labels = map[string]string{cluster.LabelDisplacedFrom: claim.Name}
	volume.Annotations = map[string]string{
		cluster.AnnotationDisplacedFrom: ns + "/" + claim.Name, cluster.AnnotationDisplacedClaim: manifest,
		cluster.AnnotationDisplacedPolicy: "Delete", cluster.AnnotationDisplacedBy: operation, cluster.AnnotationDisplacedWhy: why,
		cluster.AnnotationDisplacedAt: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC).Format(time.RFC3339),
	}
	return *volume
}

func TestUndoChoosesOperation(t *testing.T) {
	s := situation()
	s.Record = catalog.Record{} // an undo needs none
	for _, id := range []string{"20261121T08-a", "20261121T09-b"} {
		for ordinal := range 3 {
			s.Volumes = append(s.Volumes, asideBy(t, s, ordinal, id, cluster.WhyReplaced))
		}
	}
	s.Volumes = append(s.Volumes, asideBy(t, s, 0, "20261121T10-c", cluster.WhyIncomplete))
	for name, tt := range map[string]struct {
		options PlanOptions
		want    string
		says    []string
		missing bool
	}{
		"the latest":            {want: "20261121T09-b"},
		"one by its beginning":  {options: PlanOptions{Operation: "20261121T08"}, want: "20261121T08-a"},
		"what was not finished": {options: PlanOptions{Operation: "20261121T10-c"}, want: "20261121T10-c"},
		"which of several": {
			options: PlanOptions{Operation: "2026"},
			says:    []string{`several operations begin with "2026"`, "20261121T08-a", "20261121T09-b"},
		},
		"none of that name": {
			options: PlanOptions{Operation: "z"}, says: []string{`no operation "z"`, "20261121T08-a", "undo demo/web --list"},
			missing: true,
		},
		"an ordinal that was not set": {
			options: PlanOptions{Ordinals: []int32{7}}, want: "20261121T09-b",
			says: []string{"operation 20261121T09-b has set no volume of ordinal 7 aside"},
		},
	} {
		tt.options.Kind = KindUndo
		plan := NewPlan(*s, tt.options)
		if plan.RecoveryPoint != tt.want {
			t.Errorf("%s: the plan undoes %q, want %q", name, plan.RecoveryPoint, tt.want)
		}
		err := plan.Err()
		if (err != nil) != (len(tt.says) > 0) || errors.Is(err, cluster.ErrNotFound) != tt.missing {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range tt.says {
			if !strings.Contains(fmt.Sprint(err), text) {
				t.Errorf("%s: %q is not in: %v", name, text, err)
			}
		}
	}
}

// A claim that the interrupted restore made and somebody has deleted holds nothing worth keeping, so the
// restore goes on. If another pod uses the claim, the restore refuses, and says how to keep that pod's data.
func TestDeletedClaimOfInterrupted(t *testing.T) {
	whole := situation()
	wanted := NewPlan(*whole, PlanOptions{})
	for _, used := range []bool{false, true} {
		s := situation()
		s.StatefulSet.Generation, *s.StatefulSet.Spec.Replicas = 7, 0
		s.StatefulSet.Spec.Template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: cluster.RestoringGate}}
		s.Pods = nil
		if used {
			s.Pods = []corev1.Pod{
				{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: ns}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{mount("www-web-0")}}},
			}
		}
		j := newJournal(&wanted, "op-1", wanted.Started)
		j.Phase, j.Held, j.Volumes[0].Made = PhaseFill, 7, "made"
		made := &s.Claims[0]
		made.UID, made.DeletionTimestamp, made.Spec.VolumeName = "made", deleting(), "pvc-made"
		made.Annotations = map[string]string{annotationOperation: "op-1"}
		volume := newVolume("pvc-made", "fast", "Delete")
		volume.Annotations = map[string]string{provisionedByMark: "csi.test"}
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: made.Name, UID: "made"}
		s.Volumes, s.Claims, s.Journal = append(s.Volumes, *volume), s.Claims[:1], j
		err := new(NewPlan(*s, PlanOptions{Interrupted: WayResume})).Err()
		said := fmt.Sprint(err)
		if refused := strings.Contains(said, "somebody has deleted it"); refused != used || strings.Contains(said, "to keep the data") != used {
			t.Errorf("another pod uses it: %t: %v", used, err)
		}
	}
}

// A person must be able to find what pods may have written: an undo that names no operation does not bring it back.
func TestKeptWords(t *testing.T) {
	x := &run{op: cluster.Operation{ID: "20261121T08-a", Namespace: "demo", StatefulSet: "web"}}
	if got := x.keptWords([]string{"pv-0", "pv-1"}); !strings.Contains(got, "pv-0, pv-1") ||
		!strings.Contains(got, `"stsbackup undo demo/web --operation 20261121T08-a"`) {
		t.Error(got)
	}
}

// A plan that only lets pods start can be told from one that restores.
func TestPlanCompletes(t *testing.T) {
	whole := situation()
	wanted := NewPlan(*whole, PlanOptions{})
	s := situation()
	s.Journal = newJournal(&wanted, "op-1", wanted.Started)
	for phase, want := range map[Phase]bool{PhaseFill: false, PhaseResume: true} {
		s.Journal.Phase = phase
		for _, way := range []Way{WayResume, WayKeep} {
			if plan := NewPlan(*s, PlanOptions{Interrupted: way}); plan.Completes() != want {
				t.Errorf("%s in phase %s completes: %t", way, phase, plan.Completes())
			}
		}
		if plan := NewPlan(*s, PlanOptions{}); plan.Completes() {
			t.Errorf("a new restore in phase %s completes", phase)
		}
	}
	if plan := NewPlan(*situation(), PlanOptions{}); plan.Completes() {
		t.Error("a restore completes one that is not there")
	}
}

package restore

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestPolicyThatSomebodySets: the retention policy is restored when the gate is removed. What somebody sets after
// that stays, however often the rest of the restore is typed again; if nobody does, the policy is what it was.
func TestPolicyThatSomebodySets(t *testing.T) {
	t.Parallel()
	start := starts()["whenScaled: Delete"]
	keep := appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: "Retain", WhenDeleted: "Retain"}
	tried := 0
	for write := 1; write <= countWrites(t, start); write++ {
		for _, options := range []PlanOptions{{Interrupted: WayResume}, {}} {
			w := start.world(t)
			w.stopAt(write, true)
			_, _ = w.restore(t.Context())
			w.fault = nil
			if !w.state().Journal || cluster.Gated(&w.set().Spec.Template.Spec) || w.journal().Phase != PhaseResume {
				continue
			}
			tried++
			set := w.set()
			set.Spec.PersistentVolumeClaimRetentionPolicy = &keep
			w.stamp(set)
			w.put(setGVR, set)
			where := fmt.Sprintf("killed at write %d, then %q", write, options.Interrupted)
			if err := w.runRecord(t.Context(), newRecord(), options); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if got := retention(w.set()); got != keep {
				t.Errorf("%s: somebody's policy has become %v", where, got)
			}
		}
	}
	if tried == 0 {
		t.Error("no restore was killed after the gate was off")
	}
}

// TestKeepPresentOfAnUndo: an undo binds volumes again, and somebody keeps what runs on them now. The volumes then lose their marks.
func TestKeepPresentOfAnUndo(t *testing.T) {
	t.Parallel()
	for write := 1; write <= 40; write++ {
		w := starts()["all claims there"].world(t)
		if _, err := w.restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.stopAt(write, true)
		_, _ = w.run(t.Context(), PlanOptions{Kind: KindUndo})
		w.fault = nil
		if !w.state().Journal {
			continue
		}
		w.ungatePods()
		if err := w.runRecord(t.Context(), newRecord(), PlanOptions{Interrupted: WayKeep}); err != nil {
			t.Fatalf("killed at write %d: %v", write, err)
		}
		for _, claim := range w.claims() {
			volume := w.volume(claim.Spec.VolumeName)
			if volume == nil || claim.Name == "www-web-7" || !strings.HasPrefix(w.data[volume.Name], "old") {
				continue
			}
			if volume.Labels[cluster.LabelDisplacedFrom] != "" || volume.Spec.PersistentVolumeReclaimPolicy != "Delete" {
				t.Errorf(
					"killed at write %d: volume %s, which claim %s has again: %s, %v",
					write,
					volume.Name,
					claim.Name,
					volume.Spec.PersistentVolumeReclaimPolicy,
					volume.Labels,
				)
			}
		}
	}
}

// TestJournalIsAnothers: late requests of a process do not overwrite or remove the journal of another process that has continued it.
func TestJournalIsAnothers(t *testing.T) {
	t.Parallel()
	w := starts()["all claims there"].world(t)
	w.stopAt(12, true)
	_, _ = w.restore(t.Context())
	w.fault = nil
	op := cluster.Operation{Namespace: ns, StatefulSet: "web"}
	first, second := w.journal(), w.journal()
	if err := first.write(t.Context(), w.client(), op); err != nil {
		t.Fatal(err)
	}
	second.Others = append(second.Others, "20261121T100000Z-00000002")
	if err := second.write(t.Context(), w.client(), op); err != nil {
		t.Fatal(err)
	}
	if err := first.write(t.Context(), w.client(), op); !errors.Is(err, cluster.ErrChanged) {
		t.Errorf("the first has overwritten it: %v", err)
	}
	if err := first.remove(t.Context(), w.client(), op); !errors.Is(err, cluster.ErrChanged) || w.journal() == nil {
		t.Errorf("the first has removed it: %v", err)
	}
	if err := second.remove(t.Context(), w.client(), op); err != nil || w.journal() != nil {
		t.Errorf("the second cannot remove it: %v", err)
	}
}

// TestJournalThatSomebodySpoils: whatever somebody does to the journal while a restore runs, the restore knows what to put back.
func TestJournalThatSomebodySpoils(t *testing.T) {
	t.Parallel()
	start := starts()["all claims there"]
	failure := errors.New("injected")
	for write := 1; write <= countWrites(t, start); write++ {
		w := start.world(t)
		before, data := w.state(), maps.Clone(w.data)
		seen := 0
		w.fault = func(_ int, action k8stesting.Action, after bool) error {
			if !after && isWrite(action) {
				seen++
			}
			if seen != write || after || !isWrite(action) {
				return nil
			}
			gvr := corev1.SchemeGroupVersion.WithResource("configmaps")
			if object, err := w.tracker.Get(gvr, ns, cluster.JournalName("web")); err == nil {
				journal := object.(*corev1.ConfigMap)
				journal.Data = map[string]string{cluster.JournalKey: "{}"}
				w.stamp(journal)
				w.put(gvr, journal)
			}
			return failure
		}
		_, err := w.restore(t.Context())
		w.fault = nil
		where := fmt.Sprintf("spoilt, and failed, at write %d: %v", write, err)
		w.keptByContent(where, data)
		after := w.state()
		if got := w.dataSet(); after.Journal || after.Replicas != 3 || after.Retention != before.Retention || got != "old" && got != "restored" {
			t.Fatalf("%s: the ordinals hold %s, state %+v", where, got, after)
		}
	}
}

// TestClaimThatAPodHasUsed: somebody's pod has used a claim of a killed restore and has ended. While the pod
// still exists, we know that the volume may hold what it wrote.
func TestClaimThatAPodHasUsed(t *testing.T) {
	t.Parallel()
	start, tried := starts()["all claims there"], 0
	for write := 1; write <= countWrites(t, start); write++ {
		w := start.world(t)
		w.stopAt(write, true)
		_, _ = w.restore(t.Context())
		w.fault = nil
		claim := w.claim("www-web-0")
		if journal := w.journal(); journal == nil || journal.Phase != PhaseFill || claim == nil || claim.Spec.VolumeName == "" {
			continue
		}
		tried++
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}},
		}
		w.must(w.tracker.Create(podGVR, pod, ns))
		volume := claim.Spec.VolumeName
		w.data[volume] = "written by hand"
		data := maps.Clone(w.data)
		where := fmt.Sprintf("killed at write %d, then an undo", write)
		if err := w.runRecord(t.Context(), catalog.Record{}, PlanOptions{Kind: KindUndo}); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		w.keptByContent(where, data)
		if w.volume(volume) == nil || w.dataSet() != "old" {
			t.Errorf("%s: the volume that a pod has written to is gone: %v; the ordinals hold %s", where, w.data, w.dataSet())
		}
	}
	if tried == 0 {
		t.Error("no restore was killed while it filled")
	}
}

// TestClaimCreatedWithoutAnAnswer: the API server creates a claim, and goes away before it answers. The restore finds the
// claim and goes on.
func TestClaimCreatedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	w := starts()["all claims there"].world(t)
	before, lost := w.state(), map[string]bool{}
	w.fault = func(_ int, action k8stesting.Action, after bool) error {
		create, is := action.(k8stesting.CreateActionImpl)
		if !is || !after || action.GetResource() != claimGVR || len(create.CreateOptions.DryRun) > 0 {
			return nil
		}
		if name := mustAccess(create.Object).GetName(); !lost[name] {
			lost[name] = true
			return errors.New("the connection is gone")
		}
		return nil
	}
	if _, err := w.restore(t.Context()); err != nil || len(lost) != 3 {
		t.Fatalf("answers about %v were lost: %v", lost, err)
	}
	w.restored(before)
}

// TestConsentIsToTheVolumes: whoever agreed to bind one volume again did not agree to another of the same claim and operation.
func TestConsentIsToTheVolumes(t *testing.T) {
	agreed := Plan{Kind: KindUndo, Volumes: []Volume{{Claim: "www-web-0", Brings: "old"}}}
	now := Plan{Kind: KindUndo, Volumes: []Volume{{Claim: "www-web-0", Brings: "older"}}}
	if !agreed.Same(agreed) || now.Same(agreed) {
		t.Error("which volumes come back is no part of the consent")
	}
}

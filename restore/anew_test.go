package restore

import (
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// makeAnewWith deletes the StatefulSet, and installs it again with that many replicas.
func (w *world) makeAnewWith(replicas int32) {
	w.makeAnew()
	before := len(w.lost)
	w.scaleTo(replicas)
	w.excuse(before)
}

// countWrites is how many writes an undisturbed restore takes.
func countWrites(t *testing.T, start start) int {
	t.Helper()
	w, writes := start.world(t), 0
	w.fault = func(_ int, action k8stesting.Action, after bool) error {
		if !after && isWrite(action) {
			writes++
		}
		return nil
	}
	if _, err := w.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	return writes
}

// TestGoOnWithFewerReplicas: after a restore was killed, somebody has created the StatefulSet anew with fewer replicas. These get their
// data, even if that restore is killed, too. What was set aside from the other ordinals stays set aside, and nobody waits for it.
func TestGoOnWithFewerReplicas(t *testing.T) {
	t.Parallel()
	start := starts()["whenScaled: Delete"]
	last := countWrites(t, start)
	for first := 1; first <= last; first++ {
		for _, second := range []int{0, 5, 10, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25} { // 0 is never
			w := start.world(t)
			data := maps.Clone(w.data)
			w.stopAt(first, true)
			_, _ = w.restore(t.Context())
			w.fault = nil
			if !w.state().Journal {
				continue
			}
			w.makeAnewWith(1)
			where := fmt.Sprintf("killed at write %d, made anew with 1 replica, killed at write %d", first, second)
			if second > 0 {
				w.stopAt(second, true)
				_ = w.again(t.Context())
				w.fault = nil
			}
			if err := w.again(t.Context()); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			w.keptByContent(where, data)
			claim := w.claim("www-web-0")
			if claim == nil || w.data[claim.Spec.VolumeName] != "written since rs-0" || w.state().Journal || cluster.Replicas(w.set()) != 1 {
				t.Fatalf("%s: %v, state %+v", where, w.data, w.state())
			}
		}
	}
}

// TestKeepPresentIsKilled: pods whose gates somebody has removed run on what is there. The restore keeps that,
// even if the command for it is killed in the middle, and typed again.
func TestKeepPresentIsKilled(t *testing.T) {
	t.Parallel()
	start := starts()["all claims there"]
	last := countWrites(t, start)
	for first := 1; first <= last; first++ {
		for second := 1; second <= 6; second++ {
			w := start.world(t)
			data := maps.Clone(w.data)
			w.stopAt(first, true)
			_, _ = w.restore(t.Context())
			w.fault = nil
			if !w.state().Journal {
				continue
			}
			w.ungatePods()
			where := fmt.Sprintf("killed at write %d, pods set free, keep present killed at write %d", first, second)
			w.stopAt(second, true)
			_ = w.runRecord(t.Context(), newRecord(), PlanOptions{Interrupted: WayKeep})
			w.fault = nil
			if w.state().Journal {
				if err := w.runRecord(t.Context(), newRecord(), PlanOptions{Interrupted: WayKeep}); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
			}
			w.keptByContent(where, data)
			if w.state().Journal || cluster.Gated(&w.set().Spec.Template.Spec) {
				t.Fatalf("%s: the StatefulSet is still held", where)
			}
		}
	}
}

// ungatePods scales up, and removes the gate from each pod by hand.
func (w *world) ungatePods() {
	w.scaleTo(3)
	for _, pod := range w.pods() {
		if cluster.Gated(&pod.Spec) {
			pod.Spec.SchedulingGates = nil
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			w.put(podGVR, &pod)
		}
	}
	w.reconcile()
}

// TestPutBackOnWhatWasMadeAnew: the StatefulSet ends with the replicas and the policy that somebody gave it when it
// was created anew, even if the command that brings the old volumes back is killed in the middle, and typed again.
func TestPutBackOnWhatWasMadeAnew(t *testing.T) {
	t.Parallel()
	start := starts()["all claims there"]
	last := countWrites(t, start)
	for first := 1; first <= last; first++ {
		for second := 1; second <= 12; second++ {
			w := start.world(t)
			data := maps.Clone(w.data)
			w.stopAt(first, true)
			_, _ = w.restore(t.Context())
			w.fault = nil
			if journal := w.journal(); journal == nil || journal.Phase == PhaseResume {
				continue
			}
			w.makeAnew()
			where := fmt.Sprintf("killed at write %d, made anew, the undo killed at write %d", first, second)
			w.stopAt(second, true)
			_ = w.runRecord(t.Context(), catalog.Record{}, PlanOptions{Kind: KindUndo})
			w.fault = nil
			if w.state().Journal {
				if err := w.runRecord(t.Context(), catalog.Record{}, PlanOptions{Kind: KindUndo}); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
			}
			w.keptByContent(where, data)
			if got := w.state(); got.Replicas != 3 || got.Journal || w.dataSet() != "old" {
				t.Fatalf("%s: the ordinals hold %s, state %+v", where, w.dataSet(), got)
			}
		}
	}
}

// journal is the journal of an interrupted restore; nil if there is none.
func (w *world) journal() *Journal {
	w.t.Helper()
	journal, err := readJournal(w.t.Context(), w.client(), cluster.Key{Namespace: ns, Name: "web"})
	w.must(err)
	return journal
}

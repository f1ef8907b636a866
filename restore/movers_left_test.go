package restore

import (
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// moverLeft adds the mover pod that an interrupted restore has left on a claim, and makes the next sweep end it.
func (w *world) moverLeft(journal *Journal, claim string) {
	op := cluster.Operation{ID: journal.Operation, Kind: "restore", Namespace: ns, StatefulSet: "web"}
	w.must(w.tracker.Create(podGVR, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "mover", Namespace: ns, Labels: op.Labels()},
		Spec: corev1.PodSpec{NodeName: "node-a", Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}, ns))
	swept := false
	w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
		if !carriedOut && !swept && action.GetVerb() == "list" && action.GetResource().Resource == "jobs" {
			swept = true
			w.must(w.tracker.Delete(podGVR, ns, "mover"))
			w.reconcile()
		}
		return nil
	}
}

// TestMoverOfTheInterruptedRestore: the mover of a killed restore may still run when a person resumes or puts
// back, and may keep a claim that somebody has deleted. Neither is a change since the plan, nor a reason to
// refuse: the sweep ends the mover, and nothing on that volume is anybody's.
func TestMoverOfTheInterruptedRestore(t *testing.T) {
	start := starts()["whenScaled: Delete"]
	tried := 0
	for write := 1; write < 60; write++ {
		probe := start.world(t)
		probe.stopAt(write, true)
		_, _ = probe.restore(t.Context())
		probe.fault = nil
		journal := probe.journal()
		if journal == nil || journal.Phase != PhaseFill || probe.claim("www-web-1") == nil || journal.find("www-web-1").State != StateMade {
			continue
		}
		tried++
		for then, options := range map[string]PlanOptions{"resume": {Interrupted: WayResume}, "undo": {Kind: KindUndo}} {
			for _, deleted := range []bool{false, true} {
				t.Run(fmt.Sprintf("write %d/%s/deleted %v", write, then, deleted), func(t *testing.T) {
					w := start.world(t)
					data := maps.Clone(w.data)
					w.stopAt(write, true)
					_, _ = w.restore(t.Context())
					w.fault = nil
					w.moverLeft(w.journal(), "www-web-1")
					if deleted {
						w.must(w.deleteClaim("www-web-1"))
						w.reconcile()
					}
					record := newRecord()
					if options.Kind == KindUndo {
						record.ID = ""
					}
					if err := w.runRecord(t.Context(), record, options); err != nil {
						t.Fatal(err)
					}
					want := map[string]string{"resume": "restored", "undo": "old"}[then]
					if got := w.dataSet(); got != want {
						t.Errorf("the ordinals hold %s, want %s", got, want)
					}
					w.keptByContent(then, data)
				})
			}
		}
	}
	if tried == 0 {
		t.Fatal("no restore was stopped while it filled")
	}
}

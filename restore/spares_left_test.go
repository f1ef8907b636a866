package restore

import (
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// TestSpareWhoseClaimSomebodyDeletes: pods have run on volumes that people made and a killed restore was filling. Then somebody
// has deleted the claims. The next command must not make such a volume Available to others: it is set aside, and listed.
func TestSpareWhoseClaimSomebodyDeletes(t *testing.T) {
	t.Parallel()
	start := starts()["static volumes with spares"]
	for write := 1; write <= countWrites(t, start); write++ {
		for _, resumed := range []bool{false, true} {
			w := start.world(t)
			w.stopAt(write, true)
			_, _ = w.restore(t.Context())
			w.fault = nil
			if journal := w.journal(); journal == nil || journal.Phase == PhaseResume {
				continue
			}
			w.applyManifest()
			for ordinal := range int32(3) {
				w.personDeletes(cluster.ClaimName("www", "web", ordinal))
			}
			w.scaleTo(0)
			data := maps.Clone(w.data)
			where := fmt.Sprintf("killed at write %d, then resume: %v, and undo", write, resumed)
			if resumed {
				for n := range 3 { // there must be some with which to go on
					name := fmt.Sprintf("more-%d", n)
					volume := newVolume(name, "manual", "Retain")
					w.stamp(volume)
					w.must(w.tracker.Create(volumeGVR, volume, ""))
				}
				if err := w.again(t.Context()); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
			} else if err := w.runRecord(t.Context(), catalog.Record{}, PlanOptions{Kind: KindUndo}); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			w.keptByContent(where, data)
			for name, content := range data {
				if volume := w.volume(name); w.wrote[content] && (volume.Status.Phase == corev1.VolumeAvailable || w.data[name] != content) {
					t.Fatalf("%s: volume %s, on which pods wrote %q, is %s with %q", where, name, content, volume.Status.Phase, w.data[name])
				}
			}
		}
	}
}

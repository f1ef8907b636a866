package restore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// untidy is a Filler whose movers cannot remove their locks.
type untidy struct{ *world }

func (u untidy) Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error) {
	result, err := u.world.Fill(ctx, target, v, progress)
	result.Warnings = []string{"the lock stays"}
	return result, err
}

// TestRestoreIsDoneThoughMuchStays: the restore reports locks, the Lease and its own objects that stay, and does not fail
// because of them.
func TestRestoreIsDoneThoughMuchStays(t *testing.T) {
	w := starts()["static volumes with spares"].world(t)
	before := w.state()
	record := newRecord()
	situation, err := Look(t.Context(), w.client(), record, ns, "web")
	if err != nil {
		t.Fatal(err)
	}
	ending := errors.New("not now")
	w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
		if !carriedOut &&
			(action.GetVerb() == "delete" && action.GetResource().Resource == "leases" ||
				action.GetVerb() == "list" && action.GetResource().Resource == "jobs" && w.allFilled()) {
			return ending
		}
		return nil
	}
	restorer, told := w.restorer(), &notes{}
	restorer.Filler, restorer.Reporter = untidy{w}, told
	if _, err := restorer.Run(t.Context(), NewPlan(situation, PlanOptions{}), record); err != nil {
		t.Fatal(err)
	}
	w.restored(before)
	for _, want := range []string{
		"warning: claim www-web-0 is restored, but the lock stays", "warning: claim www-web-2 is restored, but the lock stays",
		"warning: clean up: ", "warning: delete Lease demo/",
	} {
		if !slices.ContainsFunc(told.lines, func(note string) bool { return strings.HasPrefix(note, want) }) {
			t.Errorf("nobody was told %q:\n%s", want, strings.Join(told.lines, "\n"))
		}
	}
}

// allFilled reports whether every volume has its data.
func (w *world) allFilled() bool {
	filled := 0
	for _, content := range w.data {
		if strings.HasPrefix(content, "rs-") || strings.HasPrefix(content, "written since rs-") {
			filled++
		}
	}
	return filled >= 3
}

// TestUnfinishedSparesAreEmptiedAgain: a restore that fails removes what it has written to volumes that people
// made, complete or not, so that the next restore finds them empty.
func TestUnfinishedSparesAreEmptiedAgain(t *testing.T) {
	w := starts()["static volumes with spares"].world(t)
	broken, once := errors.New("the node is gone"), false
	w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
		half := slices.Contains(slices.Collect(maps.Values(w.data)), "half of rs-1")
		if once || carriedOut || !half || action.GetVerb() != "get" || action.GetResource().Resource != "persistentvolumes" {
			return nil
		}
		once = true
		return broken
	}
	if _, err := w.restore(t.Context()); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	for volume, content := range w.data {
		if strings.Contains(content, "rs-") {
			t.Errorf("volume %s still holds %q", volume, content)
		}
	}
	w.fault = nil
	if _, err := w.restore(t.Context()); err != nil {
		t.Errorf("the next restore: %v", err)
	}
}

// TestFoundVolumeIsKept: a restore's claim can be bound to an existing volume, because the binder prefers those. Its
// data is somebody's: the restore refuses it, and putting back keeps it, even if it is certain that no pod has run.
func TestFoundVolumeIsKept(t *testing.T) {
	reserved := &corev1.ObjectReference{Namespace: ns, Name: "www-web-1"}
	for what, tt := range map[string]struct {
		ref   *corev1.ObjectReference
		later bool
	}{
		"nobody's":              {},
		"reserved for the name": {ref: reserved},
		"reserved for the name, and made when there was the claim": {ref: reserved, later: true},
	} {
		t.Run(what, func(t *testing.T) {
			w := starts()["all claims there"].world(t)
			data := maps.Clone(w.data)
			add := func() {
				found := newVolume("found", "fast", "Delete")
				found.Annotations = map[string]string{provisionedByMark: "csi.test"}
				found.Spec.ClaimRef = tt.ref
				w.stamp(found)
				w.must(w.tracker.Create(volumeGVR, found, ""))
				w.data["found"] = "somebody's"
			}
			if !tt.later {
				add()
			}
			w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
				create, is := action.(k8stesting.CreateActionImpl)
				if tt.later && carriedOut && is && len(create.CreateOptions.DryRun) == 0 && mustAccess(create.Object).GetName() == "www-web-1" &&
					w.volume("found") == nil {
					add()
				}
				return nil
			}
			if _, err := w.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "not empty") {
				t.Fatalf("a restore into somebody's volume: %v", err)
			}
			w.oldDataSafe(data)
			volume := w.volume("found")
			if volume == nil || w.data["found"] != "somebody's" || volume.Spec.PersistentVolumeReclaimPolicy != "Retain" ||
				volume.Labels[cluster.LabelDisplacedFrom] == "" {
				t.Fatalf("the volume is %+v, with %q", volume, w.data["found"])
			}
			if got := w.dataSet(); got != "old" {
				t.Errorf("the ordinals hold %s", got)
			}
		})
	}
}

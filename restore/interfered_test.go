package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// actedOn is the world's Filler, beside which somebody acts.
type actedOn struct {
	*world
	act   func()
	fails error // nil: what the world says
}

func (a actedOn) Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error) {
	a.act()
	if a.fails != nil {
		return archive.Result{}, a.fails
	}
	return a.world.Fill(ctx, target, v, progress)
}

// TestScaledUpWhileItIsFilled: if pods write to a volume before the restore does, the error says that somebody
// has scaled up, and not how to empty the volume.
func TestScaledUpWhileItIsFilled(t *testing.T) {
	full := fmt.Errorf("the volume is not empty: %w; empty it", archive.ErrNotOurs)
	for name, tt := range map[string]struct {
		gated bool  // the pods wait
		fails error // nil: what the world says
		says  []string
		not   string
	}{
		"pods that run": {
			says: []string{"somebody has scaled it to 2 replicas in the middle of the restore", "set back the pod template"},
			not:  "not empty",
		},
		"pods that have run": {gated: true, fails: full, says: []string{"somebody has scaled it to 2 replicas"}, not: "not empty"},
		"pods that wait, and a broken disk": {
			gated: true, fails: errors.New("the disk is on fire"), says: []string{"the disk is on fire"}, not: "somebody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := starts()["all claims there"].world(t)
			before, data := w.state(), maps.Clone(w.data)
			scaleUp := func() {
				w.lock.Lock()
				defer w.lock.Unlock()
				set := w.set()
				set.Spec.Replicas = new(int32(2))
				if !tt.gated {
					set.Spec.Template.Spec.SchedulingGates = nil
				}
				w.stamp(set)
				w.put(setGVR, set)
				w.reconcile()
			}
			restorer, told := w.restorer(), &notes{}
			restorer.Reporter, restorer.Filler = told, actedOn{w, scaleUp, tt.fails}
			situation, err := Look(t.Context(), w.client(), newRecord(), ns, "web")
			if err != nil {
				t.Fatal(err)
			}
			_, err = restorer.Run(t.Context(), NewPlan(situation, PlanOptions{}), newRecord())
			if err == nil {
				t.Fatal("it was restored")
			}
			for _, text := range tt.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("it does not say %q: %v", text, err)
				}
			}
			if strings.Contains(err.Error(), tt.not) {
				t.Errorf("it says %q: %v", tt.not, err)
			}
			if errors.Is(tt.fails, archive.ErrNotOurs) &&
				(!errors.Is(err, cluster.ErrChanged) || !strings.Contains(strings.Join(told.lines, "\n"), "the volume is not empty")) {
				t.Errorf("what the mover said is lost: %q, %v", told.lines, err)
			}
			w.oldDataSafe(data)
			if after := w.state(); tt.gated && after.Journal {
				t.Errorf("not put back (-before +after): %+v %+v", before, after)
			}
		})
	}
}

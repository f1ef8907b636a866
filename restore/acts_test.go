package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// act is something that somebody does while no stsbackup runs.
type act struct {
	name string
	do   func(w *world)
}

var errStopped = errors.New("the process was stopped")

// acts are what people, controllers and other tools do between two steps.
func acts() []act {
	return []act{
		{name: "nothing", do: func(*world) {}},
		{name: "scale up", do: func(w *world) { w.scaleTo(3) }},
		{name: "apply the manifest", do: func(w *world) { w.applyManifest() }},
		{name: "apply the manifest, and scale to 0 again", do: func(w *world) {
			w.applyManifest()
			before := len(w.lost)
			if w.scaleTo(0); retention(w.set()).WhenScaled == "Delete" { // what this deletes is the person's own wish
				w.excuse(before)
			}
		}},
		{name: "scale up to 5", do: func(w *world) { w.scaleTo(5) }},
		{name: "apply the manifest with 5 replicas", do: func(w *world) { w.applyManifest(); w.scaleTo(5) }},
		{name: "delete and make again", do: func(w *world) { w.makeAnew() }},
		{name: "delete a claim", do: func(w *world) { w.personDeletes("www-web-1") }},
		{name: "a loop sets replicas", do: func(w *world) {
			w.loop = func() {
				if _, err := w.tracker.Get(setGVR, ns, "web"); err == nil && cluster.Replicas(w.set()) != 3 {
					w.scaleTo(3)
				}
			}
			w.loop()
		}},
		{name: "another restore", do: func(w *world) {
			record := newRecord()
			record.ID = "20261122T081200Z-1111"
			for i := range record.Volumes {
				record.Volumes[i].RepositorySnapshot = fmt.Sprintf("other-%d", i)
			}
			_ = w.runRecord(w.t.Context(), record, PlanOptions{})
		}},
		{name: "a backup", do: func(w *world) {
			if _, err := w.client().Held(w.t.Context(), ns, "web"); err != nil && !errors.Is(err, cluster.ErrBusy) {
				w.t.Errorf("a backup is refused: %v", err)
			}
		}},
	}
}

// scaleTo is kubectl scale.
func (w *world) scaleTo(replicas int32) {
	set := w.set()
	set.Spec.Replicas = &replicas
	w.stamp(set)
	w.put(setGVR, set)
	w.reconcile()
}

// applyManifest sets the StatefulSet to what a Git repository says, like Argo CD and helm.
func (w *world) applyManifest() {
	set := w.set()
	set.Spec.Template.Spec.SchedulingGates = nil
	set.Spec.Replicas = new(int32(3))
	w.stamp(set)
	w.put(setGVR, set)
	for _, pod := range w.pods() { // the controller replaces pods of the previous revision
		if cluster.Gated(&pod.Spec) {
			w.must(w.tracker.Delete(podGVR, ns, pod.Name))
		}
	}
	w.reconcile()
}

// makeAnew deletes the StatefulSet, and installs it again.
func (w *world) makeAnew() {
	class := *w.set().Spec.VolumeClaimTemplates[0].Spec.StorageClassName
	w.must(w.tracker.Delete(setGVR, ns, "web"))
	for _, pod := range w.pods() {
		w.must(w.tracker.Delete(podGVR, ns, pod.Name))
	}
	w.reconcile()
	set := newSet(3, class)
	w.stamp(set)
	w.must(w.tracker.Create(setGVR, set, ns))
	w.reconcile()
}

// personDeletes is kubectl delete pvc: what this deletes is the person's own wish.
func (w *world) personDeletes(claim string) {
	before := len(w.lost)
	if w.claim(claim) != nil {
		w.must(w.deleteClaim(claim))
	}
	w.reconcile()
	w.excuse(before)
}

// excuse forgets what was deleted since: it was a person's own wish.
func (w *world) excuse(before int) {
	w.wished = append(w.wished, w.lost[before:]...)
	for _, content := range w.lost[before:] {
		delete(w.wrote, content)
	}
	w.lost = w.lost[:before]
}

// runRecord plans and runs with another recovery point.
func (w *world) runRecord(ctx context.Context, record catalog.Record, options PlanOptions) error {
	if err := w.leaseExpires(ctx); err != nil {
		return err
	}
	situation, err := Look(ctx, w.client(), record, ns, "web")
	if err != nil {
		return err
	}
	_, err = w.restorer().Run(ctx, NewPlan(situation, options), record)
	return err
}

// thens are what a person types afterwards.
func thens() map[string]PlanOptions {
	return map[string]PlanOptions{
		"resume":  {Interrupted: WayResume},
		"undo":    {Kind: KindUndo},
		"keep":    {Interrupted: WayKeep},
		"restore": {},
	}
}

// isWrite reports whether a call changes the cluster. The Lease is left out: it expires by itself.
func isWrite(action k8stesting.Action) bool {
	return slices.Contains([]string{"create", "update", "patch", "delete"}, action.GetVerb()) && action.GetResource().Resource != "leases"
}

// stopAt makes every call from a write on fail: the process is dead. If carriedOut is set, that write still happens.
func (w *world) stopAt(write int, carriedOut bool) {
	seen, dead := 0, false
	w.fault = func(_ int, action k8stesting.Action, after bool) error {
		if !after && isWrite(action) && !dead {
			seen++
		}
		if seen == write && isWrite(action) && after == carriedOut {
			dead = true
		}
		if dead {
			return errStopped
		}
		return nil
	}
}

// keptByContent checks that all that pods have ever written, and all that was there before, is on a volume that
// exists, and that this volume is a claim's, or that undo --list finds it and nothing would delete it.
func (w *world) keptByContent(where string, before map[string]string) {
	w.t.Helper()
	for _, content := range w.lost {
		if strings.HasPrefix(content, "old") || strings.HasPrefix(content, "written") || content == "not ours" {
			w.t.Fatalf("%s: %q was deleted", where, content)
		}
	}
	present := map[string]bool{}
	for name, content := range w.data {
		present[content] = true
		if !strings.HasPrefix(content, "old") && !strings.HasPrefix(content, "written") {
			continue
		}
		volume := w.volume(name)
		if volume == nil {
			w.t.Fatalf("%s: volume %s with %q is gone", where, name, content)
		}
		bound := volume.Spec.ClaimRef != nil && w.claim(volume.Spec.ClaimRef.Name) != nil &&
			w.claim(volume.Spec.ClaimRef.Name).UID == volume.Spec.ClaimRef.UID
		marked := volume.Labels[cluster.LabelDisplacedFrom] != "" && volume.Annotations[cluster.AnnotationDisplacedClaim] != ""
		if !bound && (!marked || volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain) {
			w.t.Fatalf("%s: volume %s with %q is nobody's: marked %v, %s", where, name, content, marked, volume.Spec.PersistentVolumeReclaimPolicy)
		}
	}
	for name, content := range before {
		if volume := w.volume(name); volume != nil && w.data[name] != content && (strings.HasPrefix(content, "old") || content == "not ours") {
			w.t.Fatalf("%s: volume %s held %q, and holds %q", where, name, content, w.data[name])
		}
	}
	for content := range w.wrote {
		if !present[content] {
			w.t.Fatalf("%s: a pod wrote %q, which is nowhere any more", where, content)
		}
	}
}

// dataSet says what the ordinals hold: "old", "restored", "mixed …".
func (w *world) dataSet() string {
	kinds := map[string]bool{}
	for ordinal := range int32(3) {
		claim := w.claim(cluster.ClaimName("www", "web", ordinal))
		content := "no claim"
		if claim != nil {
			content = w.data[claim.Spec.VolumeName]
		}
		switch content {
		case fmt.Sprintf("old-%d", ordinal):
			content = "old"
		case fmt.Sprintf("written since rs-%d", ordinal):
			content = "restored"
		}
		kinds[content] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
}

// TestSomebodyActs stops a restore at each of its writes, lets somebody act, and then lets a person type something.
// Whatever it is, nothing that a pod ever wrote may be gone, and resume and undo bring one of the two data sets back.
func TestSomebodyActs(t *testing.T) {
	for _, name := range []string{"whenScaled: Delete", "a class that retains", "scaled to 0, one claim gone"} {
		start := starts()[name]
		clean := start.world(t)
		writes := 0
		clean.fault = func(_ int, action k8stesting.Action, after bool) error {
			if !after && isWrite(action) {
				writes++
			}
			return nil
		}
		if _, err := clean.restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, act := range acts() {
			t.Run(name+"/"+act.name, func(t *testing.T) {
				t.Parallel()
				counts := map[string]int{}
				for write := 1; write <= writes; write++ {
					for _, carriedOut := range []bool{false, true} {
						for then, options := range thens() {
							where := fmt.Sprintf("stopped at write %d (carried out: %v), then %s", write, carriedOut, then)
							counts[actOnce(t, start, act, where, write, carriedOut, then, options)]++
						}
					}
				}
				for outcome, n := range counts {
					t.Logf("%4d  %s", n, outcome)
				}
			})
		}
	}
}

// TestSomebodyActsOnAnUndo does the same for an undo of a finished restore.
func TestSomebodyActsOnAnUndo(t *testing.T) {
	start := starts()["whenScaled: Delete"]
	done := func(t *testing.T) *world {
		t.Helper()
		w := start.world(t)
		if _, err := w.restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w
	}
	clean, writes := done(t), 0
	clean.fault = func(_ int, action k8stesting.Action, after bool) error {
		if !after && isWrite(action) {
			writes++
		}
		return nil
	}
	if _, err := clean.run(t.Context(), PlanOptions{Kind: KindUndo}); err != nil || clean.dataSet() != "old" {
		t.Fatalf("an undo: %v, the ordinals hold %s", err, clean.dataSet())
	}
	for _, act := range acts() {
		t.Run(act.name, func(t *testing.T) {
			t.Parallel()
			counts := map[string]int{}
			for write := 1; write <= writes; write++ {
				for then, options := range thens() {
					w := done(t)
					data := maps.Clone(w.data)
					w.stopAt(write, write%2 == 0)
					_, _ = w.run(t.Context(), PlanOptions{Kind: KindUndo})
					w.fault = nil
					where := fmt.Sprintf("an undo stopped at write %d, then %s", write, then)
					act.do(w)
					w.keptByContent(where+": after the act", data)
					counts[w.typed(t, where, then, options)]++
					w.keptByContent(where, data)
				}
			}
			for outcome, n := range counts {
				t.Logf("%4d  %s", n, outcome)
			}
		})
	}
}

// typed runs what the person then types, and returns the outcome.
func (w *world) typed(t *testing.T, where, then string, options PlanOptions) string {
	t.Helper()
	record := newRecord()
	if situation, err := Look(
		t.Context(),
		w.client(),
		record,
		ns,
		"web",
	); err == nil && situation.Journal != nil && situation.Journal.Kind == KindUndo &&
		then == "resume" {
		options.Kind = KindUndo
	}
	if options.Kind == KindUndo {
		record = catalog.Record{}
	}
	err := w.runRecord(t.Context(), record, options)
	w.loop = nil
	var refusal *cluster.Refusal
	if err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrNotReady) {
		t.Fatalf("%s: %v", where, err)
	}
	if err != nil {
		return then + ": refused: " + firstWords(err)
	}
	return then + ": done, they hold " + w.dataSet()
}

// actOnce runs one combination, and returns its outcome.
func actOnce(t *testing.T, start start, act act, where string, write int, carriedOut bool, then string, options PlanOptions) string {
	t.Helper()
	w := start.world(t)
	data := maps.Clone(w.data)
	w.stopAt(write, carriedOut)
	_, _ = w.restore(t.Context())
	w.fault = nil
	act.do(w)
	w.keptByContent(where+": after the act", data)
	record := newRecord()
	if options.Kind == KindUndo {
		record = catalog.Record{}
	}
	had := w.state().Journal
	err := w.runRecord(t.Context(), record, options)
	w.loop = nil
	w.keptByContent(where, data)
	var refusal *cluster.Refusal
	journal := w.state().Journal
	switch {
	case err == nil && journal:
		t.Fatalf("%s: it says that all is well, and the journal is still there", where)
	case err == nil && cluster.Gated(&w.set().Spec.Template.Spec):
		t.Fatalf("%s: the StatefulSet is still held", where)
	case err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrNotReady):
		t.Fatalf("%s: %v", where, err)
	}
	outcome := w.dataSet()
	if err == nil {
		want := map[string][]string{"resume": {"restored"}, "restore": {"restored"}, "undo": {"old"}}[then]
		if act.name == "another restore" && then == "undo" {
			want = append(want, "restored") // it found all in place, completed that, and then restored again
		}
		if want != nil && !slices.Contains(want, outcome) && len(w.wished) == 0 && (start.prepare == nil || then != "undo") {
			t.Fatalf("%s: it succeeded, and the ordinals hold: %s", where, outcome)
		}
		return then + ": done, they hold " + outcome
	}
	going := act.name == "delete a claim" &&
		strings.Contains(err.Error(), "somebody has deleted it") // a person has to say whether that was meant
	if had && !going && then != "restore" && then != "keep" && errors.As(err, &refusal) && !errors.Is(err, cluster.ErrNotFound) {
		t.Fatalf("%s: refused: %v", where, err)
	}
	return then + ": refused: " + firstWords(err)
}

func firstWords(err error) string {
	words := strings.Fields(err.Error())
	return strings.Join(words[:min(len(words), 14)], " ")
}

package restore

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestKilledTwice kills a restore at each call, and then makes each call of the next restore fail.
func TestKilledTwice(t *testing.T) {
	start := starts()["whenScaled: Delete"]
	errInjected := errors.New("injected")
	from := func(at int) func(int, k8stesting.Action, bool) error {
		return func(call int, _ k8stesting.Action, carriedOut bool) error {
			if call >= at && !carriedOut {
				return errInjected
			}
			return nil
		}
	}
	thrice := func(at int) func(int, k8stesting.Action, bool) error {
		return func(call int, _ k8stesting.Action, carriedOut bool) error {
			if call >= at && call < at+3 && !carriedOut {
				return errInjected
			}
			return nil
		}
	}
	clean := start.world(t)
	if _, err := clean.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	for first := clean.calls; first > 20; first -= 6 {
		for second := 8; second < 60; second += 2 {
			for how, fault := range map[string]func(int, k8stesting.Action, bool) error{
				"killed": from(second), "refused three times": thrice(second),
			} {
				w := start.world(t)
				before, data := w.state(), maps.Clone(w.data)
				w.calls, w.fault = 0, from(first)
				_, _ = w.restore(t.Context())
				w.calls, w.fault = 0, nil
				if err := w.leaseExpires(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.calls, w.fault = 0, fault
				way := PlanOptions{Interrupted: WayResume}
				if second%4 == 0 {
					way = PlanOptions{Kind: KindUndo}
				}
				_, _ = w.run(t.Context(), way)
				w.fault = nil
				w.oldDataSafe(data)
				if err := w.again(t.Context()); err != nil {
					t.Fatalf("killed at call %d, then %s at %d: %v", first, how, second, err)
				}
				w.oldDataSafe(data)
				if !w.allRestored() { // an undo of the completed restore was killed, and continued
					if err := w.again(t.Context()); err != nil {
						t.Fatalf("killed at call %d, then an undo %s at %d: %v", first, how, second, err)
					}
				}
				w.oldDataSafe(data)
				w.restored(before)
			}
		}
	}
}

// TestGuardComesFirst: by the time the StatefulSet is scaled to 0, every volume and every claim is already kept.
func TestGuardComesFirst(t *testing.T) {
	w := starts()["whenScaled: Delete"].world(t)
	scaled := false
	w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
		patch, ok := action.(k8stesting.PatchActionImpl)
		if !ok || carriedOut || !strings.Contains(string(patch.Patch), `"replicas":0`) {
			return nil
		}
		scaled = true
		if got := retention(w.set()); got.WhenScaled != "Retain" || got.WhenDeleted != "Retain" {
			t.Errorf("scaled to 0 with the retention policy %v", got)
		}
		for ordinal := range int32(3) {
			volume := w.volume(w.claim(cluster.ClaimName("www", "web", ordinal)).Spec.VolumeName)
			if volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
				t.Errorf("scaled to 0 while volume %s has the reclaim policy %s", volume.Name, volume.Spec.PersistentVolumeReclaimPolicy)
			}
		}
		return nil
	}
	if _, err := w.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !scaled {
		t.Error("it was never scaled to 0")
	}
}

// short is a Filler that writes one file too few into ordinal 1.
type short struct{ Filler }

func (s short) Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error) {
	result, err := s.Filler.Fill(ctx, target, v, progress)
	if v.Ordinal == 1 {
		result.Files--
	}
	return result, err
}

func TestPutBackSaysWhatItDid(t *testing.T) {
	w := starts()["all claims there"].world(t)
	r := w.restorer()
	record := newRecord()
	situation, err := Look(t.Context(), w.client(), record, ns, "web")
	if err != nil {
		t.Fatal(err)
	}
	r.Filler = short{w}
	_, err = r.Run(t.Context(), NewPlan(situation, PlanOptions{}), record)
	if err == nil {
		t.Fatal("a result that differs from the record was accepted")
	}
	for _, text := range []string{"www-web-1", "10 files", "11 files", "everything was put back", "3 replicas"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %q", text, err)
		}
	}
}

// TestHeld: others who want to work on the StatefulSet learn of an interrupted restore.
func TestHeld(t *testing.T) {
	w := starts()["all claims there"].world(t)
	c := w.client()
	if note, err := c.Held(t.Context(), ns, "web"); err != nil || note != "" {
		t.Fatal(note, err)
	}
	j := &Journal{RecoveryPoint: "20261121T081200Z-3fa9", Operation: "op", UID: w.set().UID, Phase: PhaseFill}
	if err := j.create(t.Context(), c, cluster.Operation{Namespace: ns, StatefulSet: "web"}); err != nil {
		t.Fatal(err)
	}
	// Its pods run, whoever started them: they are protected like any others.
	if note, err := c.Held(t.Context(), ns, "web"); err != nil || !strings.Contains(note, "stsbackup restore demo/web --keep-present") {
		t.Fatalf("got %q, %v", note, err)
	}
	if _, err := c.Hold(t.Context(), cluster.KeyOf(w.set()), w.set().UID); err != nil {
		t.Fatal(err)
	}
	var refusal *cluster.Refusal
	if _, err := c.Held(t.Context(), ns, "web"); !errors.As(err, &refusal) ||
		!strings.Contains(refusal.Next, "stsbackup restore demo/web --resume") {
		t.Fatalf("got %v", err)
	}
	// After scaling up, they wait.
	if _, err := c.SetScale(t.Context(), cluster.KeyOf(w.set()), w.set().UID, cluster.Scale{Replicas: new(int32(3))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Held(t.Context(), ns, "web"); !errors.As(err, &refusal) {
		t.Fatalf("with gated pods: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	w := starts()["all claims there"].world(t)
	record := newRecord()
	situation, err := Look(t.Context(), w.client(), record, ns, "web")
	if err != nil {
		t.Fatal(err)
	}
	before := w.state()
	plan := NewPlan(situation, PlanOptions{})
	claim := w.claim("www-web-0")
	claim.Spec.Resources.Requests["storage"] = resource.MustParse("1Gi")
	w.put(claimGVR, claim)
	_, err = w.restorer().Run(t.Context(), plan, record)
	var refusal *cluster.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "changed since the plan") {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Fatalf("a refused restore has changed something:\n%s", diff)
	}
}

// A journal is only a ConfigMap: nobody's claim or volume may change because somebody else has written one.
func TestForgedJournal(t *testing.T) {
	claim := func(namespace, name string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	for what, displaced := range map[string]*cluster.Displaced{
		"no claim":                {},
		"another namespace":       {Claim: claim("victim", "www-web-0")},
		"another claim":           {Claim: claim(ns, "www-db-0")},
		"a volume without an UID": {Claim: claim(ns, "www-web-0"), Volume: "pv-of-somebody"},
	} {
		t.Run(what, func(t *testing.T) {
			w := starts()["all claims there"].world(t)
			j := &Journal{
				Operation: "op",
				UID:       "uid",
				Phase:     PhaseFill,
				Volumes:   []JournalVolume{{Template: "www", Claim: "www-web-0", Displaced: displaced}},
			}
			if err := j.create(t.Context(), w.client(), cluster.Operation{Namespace: ns, StatefulSet: "web"}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "not one that a restore has written") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// A restore was killed when all its data was in place, and somebody has created the StatefulSet anew since.
// There is nothing to complete, and the next restore must not fail because of that.
func TestMadeAnewAfterAKill(t *testing.T) {
	w := starts()["all claims there"].world(t)
	before := w.state()
	j := &Journal{Operation: "op", Phase: PhaseResume, UID: "that of the one before", ReplicasAfter: 3}
	if err := j.create(t.Context(), w.client(), cluster.Operation{Namespace: ns, StatefulSet: "web"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restored(before)
}

// A journal of version 1 has no states. Whatever its phase, no claim goes before its volume is kept, and what
// its restore made is set aside and not removed.
func TestJournalOfVersion1(t *testing.T) {
	for _, options := range []PlanOptions{{Interrupted: WayResume}, {Kind: KindUndo}} {
		w := starts()["whenScaled: Delete"].world(t)
		before, data := w.state(), maps.Clone(w.data)
		record := newRecord()
		situation, err := Look(t.Context(), w.client(), record, ns, "web")
		if err != nil {
			t.Fatal(err)
		}
		plan := NewPlan(situation, PlanOptions{})
		j := newJournal(&plan, "20261121T081200Z-0001", record.Started)
		j.Version, j.Kind, j.Source = 1, "", ""
		for i := range j.Volumes {
			j.Volumes[i].State = ""
		}
		if err := j.create(t.Context(), w.client(), cluster.Operation{Namespace: ns, StatefulSet: "web"}); err != nil {
			t.Fatal(err)
		}
		w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
			if deletion, ok := action.(k8stesting.DeleteActionImpl); ok && !carriedOut && deletion.GetResource() == claimGVR {
				if volume := w.volume(w.claim(deletion.Name).Spec.VolumeName); volume != nil &&
					volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
					t.Errorf("claim %s is deleted while its volume would be deleted with it", deletion.Name)
				}
			}
			return nil
		}
		if _, err := w.run(t.Context(), options); err != nil {
			t.Fatalf("%+v: %v", options, err)
		}
		w.oldDataSafe(data)
		if options.Kind == KindUndo {
			if diff := cmp.Diff(before, w.state()); diff != "" {
				t.Errorf("after putting back (-before +after):\n%s", diff)
			}
		} else {
			w.restored(before)
		}
	}
}

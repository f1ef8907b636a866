package restore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// start is a StatefulSet before a restore.
type start struct {
	class   string
	objects []runtime.Object
	change  func(*appsv1.StatefulSet)
	// prepare changes the running StatefulSet before the restore.
	prepare func(*world)
}

func starts() map[string]start {
	scale := func(w *world, replicas int32) {
		set := w.set()
		set.Spec.Replicas = &replicas
		w.stamp(set)
		w.put(setGVR, set)
		w.reconcile()
	}
	return map[string]start{
		"all claims there": {class: "fast"},
		"whenScaled: Delete": {class: "fast", change: func(set *appsv1.StatefulSet) {
			set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenScaled:  "Delete",
				WhenDeleted: "Delete",
			}
		}},
		"a class that retains": {class: "kept"},
		"scaled to 0, one claim gone": {class: "fast", prepare: func(w *world) {
			scale(w, 0)
			w.must(w.deleteClaim("www-web-1"))
			w.reconcile()
		}},
		"scaled to 0, all gone": {class: "fast", prepare: func(w *world) {
			scale(w, 0)
			for _, claim := range w.claims() {
				w.must(w.deleteClaim(claim.Name))
			}
			w.reconcile()
		}},
		"a volume lost under its claim": {class: "fast", prepare: func(w *world) {
			volume := w.claim("www-web-2").Spec.VolumeName
			w.must(w.tracker.Delete(volumeGVR, "", volume))
			delete(w.data, volume)
			w.reconcile()
		}},
		"static volumes with spares": {class: "manual", objects: []runtime.Object{
			newVolume("static-0", "manual", "Retain"), newVolume("static-1", "manual", "Retain"), newVolume("static-2", "manual", "Retain"),
			newVolume("spare-0", "manual", "Retain"), newVolume("spare-1", "manual", "Retain"), newVolume("spare-2", "manual", "Retain"),
		}, prepare: func(w *world) {
			for ordinal := range 3 {
				claim := w.claim(cluster.ClaimName("www", "web", int32(ordinal)))
				claim.Spec.VolumeName = fmt.Sprintf("static-%d", ordinal)
				w.put(claimGVR, claim)
			}
			w.reconcile()
			for ordinal := range 3 {
				w.data[fmt.Sprintf("static-%d", ordinal)] = fmt.Sprintf("old-%d", ordinal)
			}
		}},
	}
}

func (s start) world(t *testing.T) *world {
	t.Helper()
	set := newSet(3, s.class)
	if s.change != nil {
		s.change(set)
	}
	bystander := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "www-web-7", Namespace: ns}}
	bystander.Spec.VolumeName = "bystander"
	bystander.Spec.StorageClassName = &s.class
	w := newWorld(t, append(s.objects, set, bystander, newVolume("bystander", s.class, "Delete"))...)
	w.data["bystander"] = "not ours"
	for ordinal := range int32(3) {
		if claim := w.claim(cluster.ClaimName("www", "web", ordinal)); claim.Spec.VolumeName != "" {
			w.data[claim.Spec.VolumeName] = fmt.Sprintf("old-%d", ordinal)
		}
	}
	if s.prepare != nil {
		s.prepare(w)
	}
	w.lost, w.wrote = nil, map[string]bool{}
	return w
}

// state is all that a user can see of the StatefulSet and its storage.
type state struct {
	Replicas  int32
	Retention appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy
	Claims    map[string]string // phase, volume and what is on it
	Volumes   map[string]string // phase, reclaim policy, labels
	Journal   bool
}

func (w *world) state() state {
	s := state{Replicas: cluster.Replicas(w.set()), Retention: retention(w.set()), Claims: map[string]string{}, Volumes: map[string]string{}}
	for _, claim := range w.claims() {
		s.Claims[claim.Name] = fmt.Sprintf("%s %s %q %v", claim.Status.Phase, claim.Spec.VolumeName, w.data[claim.Spec.VolumeName], claim.Labels)
	}
	for _, volume := range w.volumes() {
		s.Volumes[volume.Name] = fmt.Sprintf(
			"%s %s %v",
			volume.Status.Phase,
			volume.Spec.PersistentVolumeReclaimPolicy,
			slices.Sorted(maps.Keys(volume.Labels)),
		)
	}
	_, err := w.tracker.Get(corev1.SchemeGroupVersion.WithResource("configmaps"), ns, cluster.JournalName("web"))
	s.Journal = err == nil
	return s
}

// restorer is the engine in this world. Its waits are short, because nothing in this world takes time.
func (w *world) restorer() *Restorer {
	return &Restorer{
		Cluster: w.client(), Filler: w, Reporter: report.Silent{}, Random: rand.Reader, Holder: "test",
		Parallel: 1, // so that calls come in a fixed order
		Now:      func() time.Time { return time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC) },
		Limits:   Limits{Ready: 5 * time.Second, Down: 5 * time.Second, Claim: 5 * time.Second, PutBack: 20 * time.Second, Retry: 1},
	}
}

// restore makes a plan and runs it, like the command.
func (w *world) restore(ctx context.Context) (Report, error) { return w.run(ctx, PlanOptions{}) }

// run makes a plan with a person's options, and runs it.
func (w *world) run(ctx context.Context, options PlanOptions) (Report, error) {
	record := newRecord()
	if options.Kind == KindUndo {
		record = catalog.Record{}
	}
	situation, err := Look(ctx, w.client(), record, ns, "web")
	if err != nil {
		return Report{}, err
	}
	return w.restorer().Run(ctx, NewPlan(situation, options), record)
}

// oldDataSafe checks that everything that was on a volume before is still on it, and that the volume is either
// its claim's or kept for it.
func (w *world) oldDataSafe(before map[string]string) {
	w.t.Helper()
	for name, content := range before {
		if !strings.HasPrefix(content, "old") && content != "not ours" {
			continue
		}
		volume := w.volume(name)
		if volume == nil || w.data[name] != content {
			w.t.Fatalf("volume %s with %q is gone or overwritten: %v", name, content, w.data)
		}
		bound := volume.Status.Phase == corev1.VolumeBound && w.claim(volume.Spec.ClaimRef.Name).Spec.VolumeName == name
		if !bound && volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
			w.t.Fatalf("volume %s with %q is %s and would not be kept", name, content, volume.Status.Phase)
		}
	}
	for _, content := range w.lost {
		if strings.HasPrefix(content, "old") || strings.HasPrefix(content, "written") || content == "not ours" {
			w.t.Fatalf("%q was deleted", content)
		}
	}
}

// restored checks that each ordinal has its own data, in a claim as the StatefulSet controller would have made
// it, and that all else is as before.
func (w *world) restored(before state) {
	w.t.Helper()
	after := w.state()
	if after.Journal || after.Replicas != 3 || after.Retention != before.Retention {
		w.t.Fatalf("replicas, retention policy and journal after the restore: %d, %v, %v", after.Replicas, after.Retention, after.Journal)
	}
	for ordinal := range int32(3) {
		claim := w.claim(cluster.ClaimName("www", "web", ordinal))
		if claim == nil || claim.Status.Phase != corev1.ClaimBound ||
			w.data[claim.Spec.VolumeName] != fmt.Sprintf("written since rs-%d", ordinal) {
			w.t.Fatalf("ordinal %d: claim %v with %q", ordinal, claim, w.data[claim.Spec.VolumeName])
		}
		if diff := cmp.Diff(map[string]string{"app": "web"}, claim.Labels); diff != "" {
			w.t.Errorf("labels of claim %s (-want +got):\n%s", claim.Name, diff)
		}
	}
	if got := after.Claims["www-web-7"]; got != before.Claims["www-web-7"] {
		w.t.Errorf("the claim beyond the replicas is %s, was %s", got, before.Claims["www-web-7"])
	}
}

func TestRestore(t *testing.T) {
	for name, start := range starts() {
		t.Run(name, func(t *testing.T) {
			w := start.world(t)
			before, data := w.state(), maps.Clone(w.data)
			report, err := w.restore(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.restored(before)
			w.oldDataSafe(data)
			displaced := 0
			for volume, content := range data {
				if strings.HasPrefix(content, "old") {
					displaced++
					if w.volume(volume).Labels[cluster.LabelDisplacedFrom] == "" {
						t.Errorf("volume %s has no label that says where it was displaced from", volume)
					}
				}
			}
			if len(report.Displaced) != displaced || len(report.Volumes) != 3 || report.Replicas != 3 {
				t.Errorf("report: %+v", report)
			}
		})
	}
}

// TestFaults makes every API call of a restore fail in turn, in four ways. It checks that no old data is lost, and
// that everything is as before, or else that another restore brings the recovery point back, and the replicas.
func TestFaults(t *testing.T) {
	errInjected := errors.New("injected")
	for name, start := range starts() {
		clean := start.world(t)
		if _, err := clean.restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"refused", "answer lost", "killed", "interrupted"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				for at := 1; at <= clean.calls; at++ {
					w := start.world(t)
					before, data := w.state(), maps.Clone(w.data)
					ctx, interrupt := context.WithCancel(t.Context())
					var where string
					w.calls = 0
					w.fault = func(call int, action k8stesting.Action, carriedOut bool) error {
						if call == at {
							where = fmt.Sprintf("call %d: %s %s", call, action.GetVerb(), action.GetResource().Resource)
						}
						switch {
						case mode == "refused" && call == at && !carriedOut,
							mode == "answer lost" && call == at && carriedOut,
							mode == "killed" && call >= at && !carriedOut:
							return errInjected
						case mode == "interrupted" && call == at && carriedOut:
							interrupt()
						}
						return nil
					}
					_, err := w.restore(ctx)
					interrupt()
					w.fault = nil
					w.oldDataSafe(data)
					w.outcome(where, mode, err, before)
					if w.state().Journal {
						w.recovered(where, before)
						w.oldDataSafe(data)
					}
				}
			})
		}
	}
}

// outcome judges the result of a failed call.
func (w *world) outcome(where, mode string, err error, before state) {
	w.t.Helper()
	after := w.state()
	switch {
	case after.Journal && mode != "killed":
		w.t.Fatalf("%s: the journal is still there after %v", where, err)
	case after.Journal:
	case cmp.Equal(before, after):
	case after.Replicas == 3 && w.allRestored():
	default:
		w.t.Fatalf("%s: %v\nneither restored nor as before (-before +after):\n%s", where, err, cmp.Diff(before, after))
	}
}

// recovered restores again, which must bring the recovery point back. It may be refused if the first restore
// was nearly done: then it completes that restore, and there are no spare volumes for another.
func (w *world) recovered(where string, before state) {
	w.t.Helper()
	err := w.again(w.t.Context())
	if err != nil && strings.Contains(err.Error(), "the volume is not empty") && strings.Contains(where, "update configmaps") {
		// The restore was killed after its mover ended, and before it wrote that into the journal. Nobody can tell the
		// restored data on the spare volume from somebody's own, so it stays, and a person is asked to empty the volume.
		if after := w.state(); after.Replicas != before.Replicas || !cmp.Equal(after.Claims, before.Claims) || after.Journal {
			w.t.Fatalf("%s: not put back (-before +after):\n%s", where, cmp.Diff(before, after))
		}
		return
	}
	var refusal *cluster.Refusal
	if errors.As(err, &refusal) && !strings.Contains(refusal.Reason, "not enough Available") || err != nil && refusal == nil {
		w.t.Fatalf("%s: the next restore: %v", where, err)
	}
	w.restored(before)
}

func (w *world) allRestored() bool {
	for ordinal := range int32(3) {
		claim := w.claim(cluster.ClaimName("www", "web", ordinal))
		if claim == nil || w.data[claim.Spec.VolumeName] != fmt.Sprintf("written since rs-%d", ordinal) {
			return false
		}
	}
	return true
}

// again restores after the Lease of a dead process has expired: it continues what was interrupted.
func (w *world) again(ctx context.Context) error {
	if err := w.leaseExpires(ctx); err != nil {
		return err
	}
	options := PlanOptions{}
	if w.state().Journal {
		options.Interrupted = WayResume
	}
	_, err := w.run(ctx, options)
	return err
}

func (w *world) leaseExpires(ctx context.Context) error {
	err := w.kube.CoordinationV1().Leases(ns).Delete(ctx, cluster.LeaseName("web"), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

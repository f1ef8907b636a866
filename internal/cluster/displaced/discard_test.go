package displaced

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

func TestDiscard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0), aside(1), aside(2, manual))
		report, err := w.run(w.plan(Request{Ordinals: []int32{0, 2}}))
		if err != nil || len(report.Freed) != 2 || report.Bytes != 2<<30 {
			t.Fatalf("%+v, %v", report, err)
		}
		if w.volume("pv-0") != nil {
			t.Error("pv-0 is there")
		}
		if pv := w.volume("pv-1"); pv == nil || pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
			t.Errorf("pv-1, which was not asked for: %+v", pv)
		}
		pv := w.volume("pv-2")
		if pv == nil || pv.Spec.ClaimRef != nil || len(pv.Labels)+len(pv.Annotations) > 0 ||
			pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
			t.Errorf("one that people made: %+v", pv)
		}
		if len(w.held) != 2 || !w.held[0] || !w.held[1] {
			t.Errorf("patches with the Lease: %v", w.held)
		}
		if _, err := w.kube.Tracker().Get(leases, "demo", cluster.LeaseName("web")); !apierrors.IsNotFound(err) {
			t.Errorf("the Lease was not given back: %v", err)
		}
	})
}

// TestSomebodyActsBetweenPlanAndPatch: whoever binds a volume again, begins a restore, or uses a volume wins.
func TestSomebodyActsBetweenPlanAndPatch(t *testing.T) {
	bind := func(w *world) {
		pv := w.volume("pv-0")
		pv.Spec.ClaimRef.UID, pv.Status.Phase = "again", corev1.VolumeBound
		w.put(pv)
		w.add(claimOf("www-web-0", "pv-0", "again"))
	}
	restore := func(w *world) { w.add(journal()) }
	for what, tt := range map[string]struct {
		acts func(*world)
		// atPatch makes the act happen after the last look, in the middle of the patch; otherwise it happens after the plan.
		atPatch bool
		says    string
		refused bool
	}{
		"binds it after the plan":     {bind, false, "claim demo/www-web-0 holds it again", false},
		"binds it before the patch":   {bind, true, "claim demo/www-web-0 holds it again", false},
		"restores after the plan":     {restore, false, "a restore of recovery point 20261121T081200Z-3fa9 has begun", true},
		"changes it and restores":     {func(w *world) { w.put(w.volume("pv-0")); restore(w) }, true, "a restore of recovery point", true},
		"attaches it after the plan":  {attach, false, "used by node node-1", false},
		"deletes it":                  {func(w *world) { w.drop("pv-0") }, false, "it is gone", false},
		"deletes it before the patch": {func(w *world) { w.drop("pv-0") }, true, "it is gone", false},
		"makes another of its name":   {func(w *world) { w.drop("pv-0"); w.add(aside(0, anew)) }, false, "it is gone", false},
		"sets it aside again meanwhile": {
			func(w *world) { w.put(aside(0, by("second"))) }, false, "it was set aside once more, by second", false,
		},
		"changes it all the time": {nil, true, cluster.ErrChanged.Error(), false},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, aside(0))
				plan := w.plan(Request{})
				switch {
				case tt.acts == nil:
					w.before = func() { w.put(w.volume("pv-0")) }
				case tt.atPatch:
					w.before = func() { w.before = func() {}; tt.acts(w) }
				default:
					tt.acts(w)
				}
				report, err := w.run(plan)
				if err == nil || !strings.Contains(err.Error(), tt.says) || len(report.Freed) > 0 || report.Bytes != 0 {
					t.Errorf("%+v, %v", report, err)
				}
				var refusal *cluster.Refusal
				if refused := errors.As(err, &refusal); refused != tt.refused ||
					!refused && (len(report.Failed) != 1 || report.Failed[0].Volume != "pv-0") {
					t.Errorf("refused: %t, %+v", refused, report)
				}
				if pv := w.volume("pv-0"); pv != nil && pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
					t.Errorf("it would be deleted: %+v", pv)
				}
			})
		})
	}
}

func anew(pv *corev1.PersistentVolume) { pv.UID = "another" }

func by(operation string) func(*corev1.PersistentVolume) {
	return func(pv *corev1.PersistentVolume) { pv.Annotations[cluster.AnnotationDisplacedBy] = operation }
}

func attach(w *world) {
	name := "pv-0"
	w.add(&storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "attachment"},
		Spec:       storagev1.VolumeAttachmentSpec{NodeName: "node-1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name}},
	})
}

func (w *world) drop(name string) {
	w.t.Helper()
	if err := w.kube.Tracker().Delete(volumes, "", name); err != nil {
		w.t.Fatal(err)
	}
}

// TestAChangeThatMattersNot: Run looks at the change, and frees the volume.
func TestAChangeThatMattersNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0))
		plan := w.plan(Request{})
		w.before = func() {
			w.before = func() {}
			pv := w.volume("pv-0")
			pv.Annotations["somebody"] = "was here"
			w.put(pv)
		}
		if report, err := w.run(plan); err != nil || len(report.Freed) != 1 || w.volume("pv-0") != nil {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// TestRefusedPlanIsNotCarriedOut: Run does not even take the Lease.
func TestRefusedPlanIsNotCarriedOut(t *testing.T) {
	w := newWorld(t, aside(0), journal())
	plan := w.plan(Request{})
	w.kube.ClearActions()
	var refusal *cluster.Refusal
	if _, err := w.run(plan); !errors.As(err, &refusal) || len(w.kube.Actions()) > 0 {
		t.Errorf("%v, %v", err, w.kube.Actions())
	}
}

// TestSomebodyElseHasTheLease: Run frees nothing while another operation works on the StatefulSet.
func TestSomebodyElseHasTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0))
		other, err := w.client().Acquire(
			t.Context(),
			cluster.Operation{ID: "x", Kind: "restore", Namespace: "demo", StatefulSet: "web"},
			cluster.LeaseOptions{Holder: "ops-1"},
		)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.run(w.plan(Request{})); !errors.Is(err, cluster.ErrBusy) || len(w.held) > 0 {
			t.Errorf("%v, %d patches", err, len(w.held))
		}
		if err := other.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestNamespaceIsGone: there is no Lease, and nobody who would want one.
func TestNamespaceIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0))
		w.kube.PrependReactor("create", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewNotFound(corev1.Resource("namespaces"), "demo")
		})
		report, err := w.run(w.plan(Request{}))
		if err != nil || len(report.Freed) != 1 || w.volume("pv-0") != nil || !w.said("Namespace demo is gone") {
			t.Errorf("%+v, %v, %v", report, err, w.notes)
		}
	})
}

// TestDriverDoesNotDelete: Run says after ten seconds that it waits, and after two minutes names the volume with the known reason.
func TestDriverDoesNotDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "e"}, Type: corev1.EventTypeWarning,
			InvolvedObject: corev1.ObjectReference{UID: "uid-pv-0"}, Reason: "VolumeFailedDelete", Message: "the array is busy",
		}
		w := newWorld(t, aside(0), aside(1, manual), event)
		w.still = true
		begun := time.Now()
		report, err := w.run(w.plan(Request{}))
		took := time.Since(begun)
		if err == nil ||
			!strings.Contains(
				err.Error(),
				"1 of 2 volumes of demo/web were not freed: volume pv-0 (claim www-web-0): it is set to be deleted, which csi.test has not done "+
					"within 2m0s: VolumeFailedDelete: the array is busy",
			) {
			t.Errorf("%v", err)
		}
		if len(report.Freed) != 1 || report.Freed[0].Name != "pv-1" || report.Bytes != 1<<30 || len(report.Failed) != 1 {
			t.Errorf("%+v", report)
		}
		if took < goneWithin || took > goneWithin+2*time.Second || len(w.notes) != 1 || !w.said("until csi.test has deleted 1 of 1 volumes") {
			t.Errorf("after %s: %v", took, w.notes)
		}
		if found, err := List(t.Context(), w.client(), "demo", "web"); err != nil || len(found) != 1 || found[0].State != StateGoing {
			t.Errorf("afterwards: %+v, %v", found, err)
		}
	})
}

// TestRightIsMissing: the error names every volume.
func TestRightIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0), aside(1))
		w.kube.PrependReactor("patch", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(corev1.Resource("persistentvolumes"), "pv", errors.New("no right"))
		})
		report, err := w.run(w.plan(Request{}))
		if err == nil || len(report.Failed) != 2 || strings.Count(err.Error(), "no right") != 2 || w.volume("pv-0") == nil ||
			w.volume("pv-1") == nil {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// TestInterrupted: volumes that were not begun stay, and are named; Run does not wait for those that were begun.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, aside(0), aside(1))
		w.still = true
		ctx, cancel := context.WithCancel(t.Context())
		w.before = cancel
		plan := w.plan(Request{})
		d := &Discarder{Cluster: w.client(), Note: func(string) {}}
		report, err := d.Run(ctx, cluster.Operation{ID: "x", Kind: "discard", Namespace: "demo", StatefulSet: "web"}, plan)
		if err == nil || len(report.Freed) > 0 || len(report.Failed) != 2 || len(w.held) > 1 {
			t.Errorf("%+v, %v", report, err)
		}
		if pv := w.volume("pv-1"); pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
			t.Errorf("%+v", pv)
		}
		if _, err := w.kube.Tracker().Get(leases, "demo", cluster.LeaseName("web")); !apierrors.IsNotFound(err) {
			t.Errorf("the Lease was not given back: %v", err)
		}
	})
}

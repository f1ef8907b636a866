package restore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// denier is a cluster whose API server answers dry runs with these functions, by resource; nil admits.
func denier(t *testing.T, answers map[string]func(object metav1.Object) error) *cluster.Client {
	t.Helper()
	kube := &fake.Clientset{}
	kube.PrependReactor("create", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		create := action.(k8stesting.CreateActionImpl)
		if len(create.CreateOptions.DryRun) != 1 {
			t.Errorf("%s are created", action.GetResource().Resource)
		}
		if answer := answers[action.GetResource().Resource]; answer != nil {
			return true, create.Object, answer(mustAccess(create.Object))
		}
		return true, create.Object, nil
	})
	return &cluster.Client{Kube: kube}
}

// forbidden denies every object for one reason.
func forbidden(resource, reason string) func(metav1.Object) error {
	return func(object metav1.Object) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, object.GetName(), errors.New(reason))
	}
}

// asker is an engine that only asks.
func asker(c *cluster.Client) *Restorer {
	return &Restorer{Cluster: c, Filler: &Movers{Cluster: c}, Now: time.Now, Random: rand.Reader}
}

// admitted makes a plan in a situation, and asks Admit about it.
func admitted(t *testing.T, s *Situation, c *cluster.Client) Plan {
	t.Helper()
	plan := NewPlan(*s, PlanOptions{})
	if err := asker(c).Admit(t.Context(), &plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestAdmit: the plan refuses what the API server would deny, once for each reason, and warns of what nobody knows.
func TestAdmit(t *testing.T) {
	small := func(object metav1.Object) error {
		claim := object.(*corev1.PersistentVolumeClaim)
		if claim.Spec.VolumeName == "" { // only putting back makes it
			return nil
		}
		return forbidden("persistentvolumeclaims", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi")(object)
	}
	tests := map[string]struct {
		answers map[string]func(metav1.Object) error
		objects []string // of the refusals
		texts   []string
		warning string
	}{
		"all is admitted": {nil, nil, nil, ""},
		"a LimitRange for claims": {
			map[string]func(metav1.Object) error{
				"persistentvolumeclaims": forbidden(
					"persistentvolumeclaims",
					"minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi",
				),
			},
			[]string{
				"claim demo/www-web-0",
			},
			[]string{"nor 5 more like it", `"www-web-0" is forbidden: minimum storage usage`, "describe limitrange", "then restore again"},
			"",
		},
		"claims that could not be put back": {map[string]func(metav1.Object) error{"persistentvolumeclaims": small},
			[]string{"claim demo/www-web-0 again, as it was"}, []string{"nor 2 more like it"}, ""},
		"a quota for claims, which knows nothing of those that go": {
			map[string]func(metav1.Object) error{
				"persistentvolumeclaims": forbidden(
					"persistentvolumeclaims",
					"exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=3, limited: persistentvolumeclaims=3",
				),
			},
			nil,
			nil,
			"",
		},
		"Pod Security, and a quota for Jobs": {
			map[string]func(metav1.Object) error{
				"pods": forbidden("pods", `violates PodSecurity "restricted:latest": runAsNonRoot`),
				"jobs": forbidden(
					"jobs.batch",
					"exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=0, limited: count/jobs.batch=0",
				),
			},
			[]string{"the mover's Job for claim demo/www-web-0", "the mover's pod for claim demo/www-web-0"},
			[]string{"raise that quota", "nor 2 more like it", "enforce=baseline"},
			"",
		},
		"no right to ask for pods": {
			map[string]func(metav1.Object) error{
				"pods": forbidden(
					"pods",
					`User "u" cannot create resource "pods"`,
				),
			},
			nil,
			nil,
			"could not ask the API server whether it would create the mover's pod for claim demo/www-web-0",
		},
		"no right to create Secrets": {map[string]func(metav1.Object) error{
			"secrets": forbidden("secrets", `User "u" cannot create resource "secrets"`)},
			[]string{"the mover's Secret for claim demo/www-web-0"}, []string{"docs/rbac.md"}, ""},
		"a webhook that takes no part in dry runs": {map[string]func(metav1.Object) error{
			"serviceaccounts": func(metav1.Object) error {
				return apierrors.NewBadRequest(`admission webhook "w" does not support dry run`)
			}},
			nil, nil, "does not support dry run"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			plan := admitted(t, situation(), denier(t, tt.answers))
			var objects []string
			text := ""
			for _, refusal := range plan.Refusals {
				objects = append(objects, refusal.Object)
				text += refusal.Error() + "\n"
			}
			if diff := cmp.Diff(tt.objects, objects); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			for _, want := range tt.texts {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, text)
				}
			}
			if warnings := strings.Join(plan.Warnings, "\n"); tt.warning == "" && warnings != "" || !strings.Contains(warnings, tt.warning) {
				t.Errorf("warnings %q, want %q", plan.Warnings, tt.warning)
			}
		})
	}
}

// TestAdmitQuotaOfMovers: movers run while the StatefulSet's pods are gone, so movers can use the room of these pods.
func TestAdmitQuotaOfMovers(t *testing.T) {
	full := map[string]func(metav1.Object) error{
		"pods": forbidden("pods", "exceeded quota: limits, requested: limits.cpu=1, used: limits.cpu=3, limited: limits.cpu=3"),
	}
	for cpu, refused := range map[string]bool{"1": false, "100m": true} {
		s := situation()
		for i := range s.Pods {
			s.Pods[i].Spec.Containers = []corev1.Container{
				{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}},
			}
		}
		s.Quotas = []corev1.ResourceQuota{quota("limits.cpu", "3", "3")}
		plan := admitted(t, s, denier(t, full))
		if (len(plan.Refusals) == 1) != refused {
			t.Fatalf("pods of %s: %v", cpu, plan.Err())
		}
		if refused {
			for _, text := range []string{"ResourceQuota demo/limits", "the StatefulSet's 3 pods are gone", "limits.cpu would come to 3700m, and " +
				"it allows 3", "--mover-limits"} {
				if !strings.Contains(plan.Refusals[0].Error(), text) {
					t.Errorf("%q is not in %v", text, plan.Refusals[0])
				}
			}
		}
	}
}

// TestAdmitInTrouble: a missing answer does not admit.
func TestAdmitInTrouble(t *testing.T) {
	for _, resource := range []string{"persistentvolumeclaims", "jobs"} {
		c := denier(t, map[string]func(metav1.Object) error{resource: func(metav1.Object) error { return context.DeadlineExceeded }})
		plan := NewPlan(*situation(), PlanOptions{})
		if err := asker(c).Admit(t.Context(), &plan); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

// TestDeniedRestoreChangesNothing: a limit that was set after the consent to the plan objects before anything is changed.
func TestDeniedRestoreChangesNothing(t *testing.T) {
	w := starts()["all claims there"].world(t)
	before, data := w.state(), maps.Clone(w.data)
	w.fault = func(_ int, action k8stesting.Action, carriedOut bool) error {
		create, isCreate := action.(k8stesting.CreateActionImpl)
		switch {
		case isCreate && action.GetResource() == claimGVR && len(create.CreateOptions.DryRun) > 0 && !carriedOut:
			return forbidden("persistentvolumeclaims", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 64Mi")(
				mustAccess(create.Object),
			)
		case action.GetVerb() != "get" && action.GetVerb() != "list" && action.GetVerb() != "watch" && action.GetResource().Resource != "leases":
			t.Errorf("%s %s", action.GetVerb(), action.GetResource().Resource)
		}
		return nil
	}
	_, err := w.restore(t.Context())
	var refusal *cluster.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "minimum storage usage") {
		t.Fatalf("the restore: %v", err)
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	w.oldDataSafe(data)
}

// TestAdmitMoversAtOnce: movers of several ordinals run at once, and quotas must have room for all of them.
func TestAdmitMoversAtOnce(t *testing.T) {
	for _, tt := range []struct {
		parallel, replicas int
		hard               string
		refused            bool
	}{
		{2, 3, "1Gi", true}, {1, 3, "1Gi", false}, {2, 3, "2Gi", false}, {3, 3, "2Gi", true}, {0, 3, "1Gi", true}, {9, 2, "2Gi", false},
	} {
		s := situation()
		*s.StatefulSet.Spec.Replicas = int32(tt.replicas)
		s.Pods = nil
		s.Quotas = []corev1.ResourceQuota{quota("limits.memory", tt.hard, "0")}
		c := denier(t, nil)
		engine := asker(c)
		engine.Parallel = tt.parallel
		engine.Filler = &Movers{Cluster: c, Config: cluster.MoverConfig{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		}}}
		plan := NewPlan(*s, PlanOptions{})
		if err := engine.Admit(t.Context(), &plan); err != nil {
			t.Fatal(err)
		}
		if refused := plan.Err() != nil && strings.Contains(plan.Err().Error(), "movers at once: limits.memory would come to") &&
			strings.Contains(plan.Err().Error(), "--parallel 1"); refused != tt.refused {
			t.Errorf("%+v: %v", tt, plan.Err())
		}
	}
}

// TestAdmitByKind: each kind of plan asks about what it creates, and about nothing else.
func TestAdmitByKind(t *testing.T) {
	tests := map[string]struct {
		want map[string]int
	}{
		"restore":  {want: map[string]int{"persistentvolumeclaims": 6, "serviceaccounts": 1, "jobs": 3, "pods": 3, "secrets": 3}},
		"undo":     {want: map[string]int{"persistentvolumeclaims": 6}},
		"put back": {want: map[string]int{"persistentvolumeclaims": 3}},
		"keep":     {want: map[string]int{}},
		"complete": {want: map[string]int{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, options := situation(), PlanOptions{}
			j := newJournal(new(NewPlan(*s, options)), "op-1", time.Now())
			switch name {
			case "undo":
				options.Kind = KindUndo
				for i := range 3 {
					s.aside(i)
				}
			case "put back":
				s.Journal, options.Kind, j.Phase = j, KindUndo, PhaseFill
			case "keep":
				s.Journal, options.Interrupted, j.Phase = j, WayKeep, PhaseFill
			case "complete":
				s.Journal, options.Interrupted, j.Phase = j, WayResume, PhaseResume
			}
			got := map[string]int{}
			kube := &fake.Clientset{}
			kube.PrependReactor("create", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
				got[action.GetResource().Resource]++
				return true, action.(k8stesting.CreateActionImpl).Object, nil
			})
			plan := NewPlan(*s, options)
			if err := errors.Join(plan.Err(), asker(&cluster.Client{Kube: kube}).Admit(t.Context(), &plan)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// aside adds a volume that was set aside from an ordinal's claim.
func (s *Situation) aside(ordinal int) {
	claim := s.Claims[ordinal].DeepCopy()
	claim.UID, claim.Spec.VolumeName = "old", fmt.Sprintf("old-%d", ordinal)
	manifest, err := json.Marshal(claim)
	if err != nil {
		return
	}
	volume := newVolume(claim.Spec.VolumeName, "fast", corev1.PersistentVolumeReclaimRetain)
	volume.UID, volume.Status.Phase = types.UID("uid of "+volume.Name), corev1.VolumeReleased
	volume.Labels = map[string]string{cluster.LabelDisplacedFrom: claim.Name}
	volume.Annotations = map[string]string{
		cluster.AnnotationDisplacedFrom: ns + "/" + claim.Name, cluster.AnnotationDisplacedClaim: string(manifest),
		cluster.AnnotationDisplacedPolicy: "Delete", cluster.AnnotationDisplacedBy: "op-0", cluster.AnnotationDisplacedAt: "2026-11-21T08:00:00Z",
	}
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: claim.UID}
	s.Volumes = append(s.Volumes, *volume)
}

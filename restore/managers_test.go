package restore

import (
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// autoscaler adds a HorizontalPodAutoscaler that targets the StatefulSet; scaler is the ScaledObject that made it.
func (s *Situation) autoscaler(name, scaler string) {
	hpa := autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}
	if scaler != "" {
		hpa.Labels = map[string]string{"scaledobject.keda.sh/name": scaler}
	}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "StatefulSet", Name: "web"}
	s.Autoscalers = append(s.Autoscalers, hpa)
}

func (s *Situation) manager(m cluster.Manager) { s.Managers = append(s.Managers, m) }

// TestManagersAreRefused: the plan refuses what would reset the StatefulSet, with the commands that suspend and
// resume it. With --ignore-manager it warns instead.
func TestManagersAreRefused(t *testing.T) {
	yes := true
	tests := map[string]struct {
		change func(*Situation)
		reason string
		next   []string
	}{
		"an operator": {func(s *Situation) {
			s.StatefulSet.OwnerReferences = []metav1.OwnerReference{{Kind: "Redis", Name: "cache", Controller: &yes}}
		}, "Redis cache controls it", []string{"stop that operator", `'[{"op":"remove","path":"/metadata/ownerReferences"}]'`}},
		"an autoscaler": {func(s *Situation) { s.autoscaler("load", "") },
			"HorizontalPodAutoscaler load", []string{"delete hpa load"}},
		"Argo CD": {
			func(s *Situation) {
				s.manager(
					cluster.Manager{
						Kind:      cluster.ManagerApplication,
						Namespace: "argocd",
						Name:      "shop",
						State:     cluster.ManagerActive,
						Automated: `{"prune":true,"selfHeal":true}`,
					},
				)
			},
			"Argo CD's Application argocd/shop manages it, and would revert it",
			[]string{
				"argocd app set shop --sync-policy none, or",
				`kubectl -n argocd patch applications.argoproj.io shop --type=merge -p '{"spec":{"syncPolicy":{"automated":null}}}'; restore; then`,
				"argocd app set shop --sync-policy automated --auto-prune --self-heal, or",
				`kubectl -n argocd patch applications.argoproj.io shop --type=merge -p '{"spec":{"syncPolicy":{"automated":{"prune":true,` +
					`"selfHeal":true}}}}'`,
			},
		},
		"Argo CD, in a namespace of its own, without healing": {func(s *Situation) {
			s.manager(
				cluster.Manager{
					Kind:      cluster.ManagerApplication,
					Namespace: "teams",
					Name:      "shop",
					State:     cluster.ManagerActive,
					Automated: `{"prune":false}`,
				},
			)
		}, "Application teams/shop", []string{"argocd app set teams/shop --sync-policy automated, or kubectl -n teams patch"}},
		"an ApplicationSet": {func(s *Situation) {
			s.manager(
				cluster.Manager{
					Kind:      cluster.ManagerApplication,
					Namespace: "argocd",
					Name:      "shop",
					State:     cluster.ManagerActive,
					Automated: "{}",
					MadeBy:    "argocd/shops",
				},
			)
		}, "Application argocd/shop", []string{"in ApplicationSet argocd/shops, which made it"}},
		"Argo CD that could not be read": {
			func(s *Situation) {
				s.manager(cluster.Manager{Kind: cluster.ManagerApplication, Name: "shop", State: cluster.ManagerUnknown, Why: "the right is missing"})
			},
			"Argo CD's Application shop manages it, and could not be read: the right is missing",
			[]string{
				"argocd app set shop --sync-policy none",
				`kubectl -n NAMESPACE patch applications.argoproj.io shop --type=merge -p '{"spec":{"syncPolicy":{"automated":{}}}}'`,
			},
		},
		"a Kustomization": {func(s *Situation) {
			s.manager(cluster.Manager{Kind: cluster.ManagerKustomization, Namespace: "flux-system", Name: "apps", State: cluster.ManagerActive})
		}, "Flux's Kustomization flux-system/apps", []string{
			"flux suspend kustomization apps -n flux-system, or", "flux resume kustomization apps -n flux-system, or",
			`kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io apps --type=merge -p '{"spec":{"suspend":true}}'`,
			`kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io apps --type=merge -p '{"spec":{"suspend":false}}'`,
		}},
		"a HelmRelease": {func(s *Situation) {
			s.manager(cluster.Manager{Kind: cluster.ManagerHelmRelease, Namespace: ns, Name: "web", State: cluster.ManagerActive})
		}, "Flux's HelmRelease demo/web", []string{"flux suspend helmrelease web -n demo", "patch helmreleases.helm.toolkit.fluxcd.io web"}},
		"a ScaledObject and its autoscaler": {func(s *Situation) {
			s.manager(cluster.Manager{Kind: cluster.ManagerScaledObject, Namespace: ns, Name: "load", State: cluster.ManagerActive})
			s.autoscaler("keda-hpa-load", "load")
		}, "KEDA's ScaledObject demo/load", []string{
			"kubectl -n demo annotate scaledobjects.keda.sh load --overwrite autoscaling.keda.sh/paused=true",
			"kubectl -n demo annotate scaledobjects.keda.sh load --overwrite autoscaling.keda.sh/paused- autoscaling.keda.sh/paused-replicas-"}},
		"a ScaledObject that could not be read": {func(s *Situation) { s.autoscaler("keda-hpa-load", "load") },
			"KEDA's ScaledObject demo/load manages it, and could not be read", []string{"autoscaling.keda.sh/paused=true"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := situation()
			tt.change(s)
			plan := NewPlan(*s, PlanOptions{})
			if len(plan.Refusals) != 1 || !strings.Contains(plan.Refusals[0].Reason, tt.reason) ||
				plan.Refusals[0].Object != "StatefulSet demo/web" {
				t.Fatalf("%v\nis not one refusal that says %q", plan.Err(), tt.reason)
			}
			for _, text := range append(tt.next, "; to restore all the same, give --ignore-manager") {
				if !strings.Contains(plan.Refusals[0].Next, text) {
					t.Errorf("%q is not in\n%s", text, plan.Refusals[0].Next)
				}
			}
			plan = NewPlan(*s, PlanOptions{IgnoreManager: true})
			if plan.Err() != nil || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], tt.reason) {
				t.Errorf("with --ignore-manager: %v, warnings %q", plan.Err(), plan.Warnings)
			}
		})
	}
}

// TestManagersThatAreOff: suspended managers do not prevent a restore. If a person had to suspend one, the plan says how to resume it.
func TestManagersThatAreOff(t *testing.T) {
	for kind, warning := range map[cluster.ManagerKind]string{
		cluster.ManagerApplication:   "",
		cluster.ManagerKustomization: "resume it: flux resume kustomization x -n y, or kubectl",
		cluster.ManagerHelmRelease:   "resume it: flux resume helmrelease x -n y, or kubectl",
		cluster.ManagerScaledObject:  "resume it: kubectl -n y annotate scaledobjects.keda.sh x",
	} {
		s := situation()
		s.manager(cluster.Manager{Kind: kind, Namespace: "y", Name: "x", State: cluster.ManagerSuspended})
		s.autoscaler("keda-hpa-x", "x")
		if kind != cluster.ManagerScaledObject {
			s.Autoscalers = nil
		}
		plan := NewPlan(*s, PlanOptions{})
		if plan.Err() != nil {
			t.Errorf("%s: %v", kind, plan.Err())
		}
		if text := strings.Join(plan.Warnings, "\n"); warning == "" && text != "" || !strings.Contains(text, warning) {
			t.Errorf("%s: warnings %q, want %q", kind, plan.Warnings, warning)
		}
	}
}

// TestOtherManagers: the plan warns of managers whose state cannot be read.
func TestOtherManagers(t *testing.T) {
	tests := map[string]struct {
		change func(*Situation)
		tool   string
	}{
		"an object set": {
			func(s *Situation) { s.StatefulSet.Annotations = map[string]string{"objectset.rio.cattle.io/id": "x"} },
			"Rancher Fleet",
		},
		"kapp": {func(s *Situation) { s.StatefulSet.Labels = map[string]string{"kapp.k14s.io/app": "1"} }, "kapp manages"},
		"Config Sync": {func(s *Situation) {
			s.StatefulSet.Annotations = map[string]string{"configmanagement.gke.io/managed": "enabled"}
		}, "Config Sync"},
		"Config Sync, which leaves it alone": {func(s *Situation) {
			s.StatefulSet.Annotations = map[string]string{"configmanagement.gke.io/managed": "disabled"}
		}, ""},
		"Helm": {func(s *Situation) { s.StatefulSet.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }, ""},
		"what may not be looked for": {func(s *Situation) {
			s.manager(
				cluster.Manager{Kind: cluster.ManagerScaledObject, Namespace: ns, State: cluster.ManagerUnknown, Doubtful: true, Why: "no right"},
			)
		}, "could not check whether a ScaledObject of KEDA manages it: no right"},
	}
	for name, tt := range tests {
		s := situation()
		tt.change(s)
		plan := NewPlan(*s, PlanOptions{})
		warned := slices.ContainsFunc(plan.Warnings, func(text string) bool { return strings.Contains(text, tt.tool) })
		if plan.Err() != nil || warned != (tt.tool != "") {
			t.Errorf("%s: %v, warnings %q", name, plan.Err(), plan.Warnings)
		}
	}
}

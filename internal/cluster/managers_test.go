package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

// others is a dynamic client of a cluster that has these objects of other tools, given as YAML.
func others(t *testing.T, manifests ...string) *dynamicfake.FakeDynamicClient {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{}
	for _, kind := range []ManagerKind{ManagerApplication, ManagerKustomization, ManagerHelmRelease, ManagerScaledObject} {
		for _, resource := range managerResource(kind) {
			kinds[resource] = string(kind) + "List"
		}
	}
	var objects []runtime.Object
	for _, manifest := range manifests {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, objects...)
}

// noSuchKind answers like an API server that does not know the kind.
func noSuchKind(action clienttesting.Action) (bool, runtime.Object, error) {
	return true, nil, apierrors.NewGenericServerResponse(
		http.StatusNotFound,
		action.GetVerb(),
		action.GetResource().GroupResource(),
		"",
		"404 page not found",
		0,
		true,
	)
}

// marked is StatefulSet demo/web with these labels, and with an annotation if the key says so.
func marked(marks map[string]string) *appsv1.StatefulSet {
	sts := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "web", Labels: map[string]string{}, Annotations: map[string]string{}},
	}
	for key, value := range marks {
		if key == "argocd.argoproj.io/tracking-id" {
			sts.Annotations[key] = value
		} else {
			sts.Labels[key] = value
		}
	}
	return sts
}

const (
	tracking = "argocd.argoproj.io/tracking-id"
	syncs    = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: shop}, spec: {syncPolicy: ` +
		`{automated: {enabled: true, prune: true, selfHeal: true, "x'; rm -rf ~": true}}}}`
	held = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: shop}, spec: {syncPolicy: ` +
		`{automated: {enabled: false}}}}`
	byHand = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: teams, name: shop}, spec: {syncPolicy: ` +
		`{syncOptions: [x]}}}`
	made = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: shop, ownerReferences: ` +
		`[{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, name: shops, uid: x}]}, spec: {syncPolicy: {automated: {}}}}`
	its = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: chart}, spec: {syncPolicy: ` +
		`{automated: {}}}, status: {resources: [{group: apps, version: v1, kind: StatefulSet, namespace: demo, name: web}]}}`
	notIts = `{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {namespace: argocd, name: chart}, spec: {syncPolicy: ` +
		`{automated: {}}}, status: {resources: [{group: apps, version: v1, kind: StatefulSet, namespace: demo, name: other}]}}`
)

// TestManagers: marks and other tools' objects say who is active.
func TestManagers(t *testing.T) {
	flux := func(kind string) map[string]string {
		return map[string]string{kind + ".toolkit.fluxcd.io/name": "apps", kind + ".toolkit.fluxcd.io/namespace": "flux-system"}
	}
	application := func(namespace, name string, state ManagerState, automated string) Manager {
		return Manager{Kind: ManagerApplication, Namespace: namespace, Name: name, State: state, Automated: automated}
	}
	tests := map[string]struct {
		marks   map[string]string
		objects []string
		want    []Manager
		why     string // for the unknown one
	}{
		"nothing": {nil, []string{syncs}, nil, ""},
		"an Application that syncs by itself": {map[string]string{tracking: "shop:apps/StatefulSet:demo/web"}, []string{syncs},
			[]Manager{application("argocd", "shop", ManagerActive, `{"prune":true,"selfHeal":true}`)}, ""},
		"by its label": {map[string]string{"argocd.argoproj.io/instance": "shop"}, []string{syncs},
			[]Manager{application("argocd", "shop", ManagerActive, `{"prune":true,"selfHeal":true}`)}, ""},
		"by all marks at once": {
			map[string]string{
				tracking:                      "shop:apps/StatefulSet:demo/web",
				"argocd.argoproj.io/instance": "shop",
				"app.kubernetes.io/instance":  "shop",
			},
			[]string{syncs},
			[]Manager{application("argocd", "shop", ManagerActive, `{"prune":true,"selfHeal":true}`)},
			"",
		},
		"automated sync that is disabled": {map[string]string{tracking: "shop:apps/StatefulSet:demo/web"}, []string{held},
			[]Manager{application("argocd", "shop", ManagerSuspended, "")}, ""},
		"an Application of another namespace": {map[string]string{tracking: "teams_shop:apps/StatefulSet:demo/web"}, []string{syncs, byHand},
			[]Manager{application("teams", "shop", ManagerSuspended, "")}, ""},
		"several of the name": {
			map[string]string{tracking: "shop:apps/StatefulSet:demo/web"},
			[]string{syncs, byHand},
			[]Manager{
				application("argocd", "shop", ManagerActive, `{"prune":true,"selfHeal":true}`),
				application("teams", "shop", ManagerSuspended, ""),
			},
			"",
		},
		"made by an ApplicationSet": {
			map[string]string{tracking: "shop:apps/StatefulSet:demo/web"},
			[]string{made},
			[]Manager{
				{Kind: ManagerApplication, Namespace: "argocd", Name: "shop", State: ManagerActive, Automated: "{}", MadeBy: "argocd/shops"},
			},
			"",
		},
		"a tracking id that was copied": {map[string]string{tracking: "shop:apps/StatefulSet:demo/other"}, []string{syncs}, nil, ""},
		"an Application that is not there": {map[string]string{tracking: "gone:apps/StatefulSet:demo/web"}, []string{syncs},
			[]Manager{application("", "gone", ManagerUnknown, "")}, "in another"},
		"an Application that is not there, in a namespace": {map[string]string{tracking: "teams_gone:apps/StatefulSet:demo/web"}, []string{syncs},
			[]Manager{application("teams", "gone", ManagerUnknown, "")}, "namespace teams has none of that name"},
		"a mark that is no name": {map[string]string{tracking: "$(reboot):apps/StatefulSet:demo/web"}, nil,
			[]Manager{application("NAMESPACE", "NAME", ManagerUnknown, "")}, `the StatefulSet's mark names "$(reboot)", which is not a name`},
		"a chart that Argo CD installed": {
			map[string]string{"app.kubernetes.io/instance": "chart"},
			[]string{its},
			[]Manager{application("argocd", "chart", ManagerActive, "{}")},
			"",
		},
		"a chart that Argo CD knows nothing": {map[string]string{"app.kubernetes.io/instance": "chart"}, []string{notIts}, nil, ""},
		"a Kustomization": {
			flux("kustomize"),
			[]string{`{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {namespace: flux-system, name: apps}, spec: {}}`},
			[]Manager{{Kind: ManagerKustomization, Namespace: "flux-system", Name: "apps", State: ManagerActive}},
			"",
		},
		"a Kustomization that is suspended": {
			flux("kustomize"),
			[]string{
				`{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {namespace: flux-system, name: apps}, spec: {suspend: ` +
					`true}}`,
			},
			[]Manager{{Kind: ManagerKustomization, Namespace: "flux-system", Name: "apps", State: ManagerSuspended}},
			"",
		},
		"a HelmRelease that is suspended": {
			flux("helm"),
			[]string{
				`{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {namespace: flux-system, name: apps}, spec: {suspend: true}}`,
			},
			[]Manager{{Kind: ManagerHelmRelease, Namespace: "flux-system", Name: "apps", State: ManagerSuspended}},
			"",
		},
		"ScaledObjects": {
			nil,
			[]string{
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: a}, spec: {scaleTargetRef: {kind: StatefulSet,` +
					` name: web}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: b, annotations: {autoscaling.keda.sh/paused: ` +
					`"true"}}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: c, annotations: ` +
					`{autoscaling.keda.sh/paused-replicas: "0"}}, spec: {scaleTargetRef: {kind: StatefulSet, name: web}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: d, annotations: ` +
					`{autoscaling.keda.sh/paused-replicas: "2"}}, spec: {scaleTargetRef: {kind: StatefulSet, name: web}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: e}, spec: {scaleTargetRef: {name: web}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: demo, name: f}, spec: {scaleTargetRef: {kind: StatefulSet,` +
					` name: other}}}`,
				`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: other, name: g}, spec: {scaleTargetRef: {kind: ` +
					`StatefulSet, name: web}}}`,
			},
			[]Manager{
				{
					Kind:      ManagerScaledObject,
					Namespace: "demo",
					Name:      "a",
					State:     ManagerActive,
				},
				{Kind: ManagerScaledObject, Namespace: "demo", Name: "b", State: ManagerSuspended},
				{
					Kind:      ManagerScaledObject,
					Namespace: "demo",
					Name:      "c",
					State:     ManagerSuspended,
				},
				{Kind: ManagerScaledObject, Namespace: "demo", Name: "d", State: ManagerActive},
			},
			"",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, _, _ := fakeCluster()
			c.Dynamic = others(t, tt.objects...)
			judgeManagers(t, c, marked(tt.marks), tt.want, tt.why)
		})
	}
}

func judgeManagers(t *testing.T, c *Client, sts *appsv1.StatefulSet, want []Manager, why string) {
	t.Helper()
	got, err := c.Managers(t.Context(), sts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if (got[i].State == ManagerUnknown) != (got[i].Why != "") || !strings.Contains(got[i].Why, why) {
			t.Errorf("%s %s cannot be read because of %q, want %q", got[i].Kind, got[i].Name, got[i].Why, why)
		}
		got[i].Why = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("managers (-want +got):\n%s", diff)
	}
}

// TestManagersThatCannotBeRead: a missing right differs from a missing kind, and neither means that a manager is suspended.
func TestManagersThatCannotBeRead(t *testing.T) {
	argo := map[string]string{tracking: "shop:apps/StatefulSet:demo/web"}
	unknown := []Manager{{Kind: ManagerApplication, Namespace: "", Name: "shop", State: ManagerUnknown}}
	helm := map[string]string{"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "demo"}
	chart := map[string]string{"app.kubernetes.io/instance": "shop"}
	tests := map[string]struct {
		marks  map[string]string
		served bool
		verbs  string
		answer clienttesting.ReactionFunc
		want   []Manager
		why    string
	}{
		"no such kind":           {argo, false, "*", noSuchKind, unknown, "this cluster has no applications.argoproj.io"},
		"no right, no such kind": {argo, false, "*", denied, unknown, "this cluster has no applications.argoproj.io"},
		"no right": {
			argo,
			true,
			"*",
			denied,
			unknown,
			"the right to get applications.argoproj.io in namespace argocd is missing (docs/rbac.md)",
		},
		"no right to list": {
			argo,
			true,
			"list",
			denied,
			[]Manager{
				{Kind: ManagerApplication, Namespace: "argocd", Name: "shop", State: ManagerActive, Automated: `{"prune":true,"selfHeal":true}`},
			},
			"",
		},
		"no right, and no mark": {
			chart,
			true,
			"*",
			denied,
			[]Manager{{Kind: ManagerApplication, Name: "shop", State: ManagerUnknown, Doubtful: true}},
			"the right to list applications.argoproj.io in all namespaces is missing",
		},
		"no kind, and no mark": {chart, false, "*", noSuchKind, nil, ""},
		"no such kind of Flux's": {
			helm,
			false,
			"*",
			noSuchKind,
			[]Manager{{Kind: ManagerHelmRelease, Namespace: "demo", Name: "web", State: ManagerUnknown}},
			"this cluster has no helmreleases",
		},
		"no right to Flux's kind": {
			helm,
			true,
			"*",
			denied,
			[]Manager{{Kind: ManagerHelmRelease, Namespace: "demo", Name: "web", State: ManagerUnknown}},
			"the right to get helmreleases.helm.toolkit.fluxcd.io in namespace demo is missing",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, kube, _ := fakeCluster()
			for _, resource := range append(managerResource(ManagerApplication), managerResource(ManagerHelmRelease)...) {
				if tt.served {
					kube.Resources = append(kube.Resources, &metav1.APIResourceList{
						GroupVersion: resource.GroupVersion().String(), APIResources: []metav1.APIResource{{Name: resource.Resource}},
					})
				}
			}
			dynamic := others(t, syncs)
			for _, resource := range []string{"applications", "helmreleases"} {
				dynamic.PrependReactor(tt.verbs, resource, tt.answer)
			}
			c.Dynamic = dynamic
			judgeManagers(t, c, marked(tt.marks), tt.want, tt.why)
		})
	}
}

// TestManagersOldVersion: Managers also reads a Flux that has only an older version of its kind.
func TestManagersOldVersion(t *testing.T) {
	c, _, _ := fakeCluster()
	dynamic := others(
		t,
		`{apiVersion: helm.toolkit.fluxcd.io/v2beta2, kind: HelmRelease, metadata: {namespace: demo, name: web}, spec: {suspend: true}}`,
	)
	dynamic.PrependReactor("get", "helmreleases", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetResource().Version == "v2" {
			return noSuchKind(action)
		}
		return false, nil, nil
	})
	c.Dynamic = dynamic
	judgeManagers(t, c, marked(map[string]string{"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "demo"}),
		[]Manager{{Kind: ManagerHelmRelease, Namespace: "demo", Name: "web", State: ManagerSuspended}}, "")
}

// TestManagersAndKEDAsRights: KEDA's state is reported as unknown only if the cluster has KEDA.
func TestManagersAndKEDAsRights(t *testing.T) {
	for served, want := range map[bool][]Manager{
		true:  {{Kind: ManagerScaledObject, Namespace: "demo", State: ManagerUnknown, Doubtful: true}},
		false: nil,
	} {
		c, kube, _ := fakeCluster()
		if served {
			kube.Resources = append(
				kube.Resources,
				&metav1.APIResourceList{GroupVersion: "keda.sh/v1alpha1", APIResources: []metav1.APIResource{{Name: "scaledobjects"}}},
			)
		}
		dynamic := others(t)
		dynamic.PrependReactor("list", "scaledobjects", denied)
		c.Dynamic = dynamic
		judgeManagers(t, c, marked(nil), want, "the right to list scaledobjects.keda.sh in namespace demo is missing")
	}
}

// TestManagersInTrouble: if the API server does not answer, Managers neither goes on nor says that a right is missing.
func TestManagersInTrouble(t *testing.T) {
	c, _, _ := fakeCluster()
	dynamic := others(t)
	dynamic.PrependReactor("list", "scaledobjects", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, context.DeadlineExceeded
	})
	c.Dynamic = dynamic
	if got, err := c.Managers(t.Context(), marked(nil)); !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "scaledobjects.keda.sh in namespace demo") {
		t.Errorf("managers %v, error %v", got, err)
	}
}

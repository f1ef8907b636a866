package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ManagerKind is the kind of object with which another tool manages StatefulSets.
type ManagerKind string

// The kinds whose state we can read.
const (
	ManagerApplication   ManagerKind = "Application"   // of Argo CD
	ManagerKustomization ManagerKind = "Kustomization" // of Flux
	ManagerHelmRelease   ManagerKind = "HelmRelease"   // of Flux
	ManagerScaledObject  ManagerKind = "ScaledObject"  // of KEDA
)

// ManagerState says whether a manager would change the StatefulSet by itself.
type ManagerState string

// The states of a manager.
const (
	ManagerActive    ManagerState = "active"    // it would
	ManagerSuspended ManagerState = "suspended" // it would not, as long as it stays as it was read
	ManagerUnknown   ManagerState = "unknown"   // it could not be read
)

// Manager is an object of another tool that keeps a StatefulSet in a state that is defined elsewhere.
type Manager struct {
	Kind ManagerKind
	// Namespace is empty if it is not known.
	Namespace, Name string
	State           ManagerState
	// Why says, for ManagerUnknown, why it could not be read.
	Why string
	// Doubtful says, for ManagerUnknown, that nothing names the manager for sure: it only could not be ruled out.
	Doubtful bool
	// Automated is the spec.syncPolicy.automated of an active Application, as JSON: it is needed to resume the Application.
	Automated string
	// MadeBy names the ApplicationSet that made an Application and may reset it; empty if none did.
	MadeBy string
}

// argoNamespace is where we look for an Application of which we know only the name.
const argoNamespace = "argocd"

// managerResource returns the resources by which to read the objects of a kind: the newest version first.
func managerResource(kind ManagerKind) []schema.GroupVersionResource {
	switch kind {
	case ManagerApplication:
		return []schema.GroupVersionResource{{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}}
	case ManagerKustomization:
		return []schema.GroupVersionResource{{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"}}
	case ManagerHelmRelease:
		return []schema.GroupVersionResource{
			{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"},
			{Group: "helm.toolkit.fluxcd.io", Version: "v2beta2", Resource: "helmreleases"},
		}
	default:
		return []schema.GroupVersionResource{{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}}
	}
}

// Resource is the kind's resource with its group, in the form of kubectl and RBAC: "applications.argoproj.io".
func (k ManagerKind) Resource() string { return managerResource(k)[0].GroupResource().String() }

// managerName is what a StatefulSet's labels and annotations say about one of its managers.
type managerName struct {
	kind            ManagerKind
	namespace, name string
	// guess: every Helm chart sets this label, so it counts only if the manager itself names the StatefulSet.
	guess bool
}

// Managers reads who manages the StatefulSet: the objects that its labels and annotations name, and the ScaledObjects
// that target it. A manager that we may not read, or that does not exist, is listed as ManagerUnknown.
func (c *Client) Managers(ctx context.Context, sts *appsv1.StatefulSet) ([]Manager, error) {
	var managers []Manager
	for _, named := range namedManagers(sts) {
		found, err := c.readManagers(ctx, named, sts)
		if err != nil {
			return nil, fmt.Errorf("read what manages StatefulSet %s/%s: %w", sts.Namespace, sts.Name, err)
		}
		managers = append(managers, found...)
	}
	scalers, err := c.scaledObjects(ctx, sts)
	if err != nil {
		return nil, fmt.Errorf("read what scales StatefulSet %s/%s: %w", sts.Namespace, sts.Name, err)
	}
	return append(managers, scalers...), nil
}

// namedManagers reads the marks that Argo CD and Flux leave on what they apply.
func namedManagers(sts *appsv1.StatefulSet) []managerName {
	var names []managerName
	add := func(kind ManagerKind, namespace, name string, guess bool) {
		same := func(n managerName) bool {
			return n.kind == kind && n.name == name && (n.namespace == namespace || guess || namespace == "")
		}
		if name != "" && !slices.ContainsFunc(names, same) {
			names = append(names, managerName{kind, namespace, name, guess})
		}
	}
	labels := sts.GetLabels()
	if namespace, name, ours := trackedApplication(sts); ours {
		add(ManagerApplication, namespace, name, false)
	}
	namespace, name := applicationName(labels["argocd.argoproj.io/instance"])
	add(ManagerApplication, namespace, name, false)
	namespace, name = applicationName(labels["app.kubernetes.io/instance"])
	add(ManagerApplication, namespace, name, true)
	for group, kind := range map[string]ManagerKind{"kustomize": ManagerKustomization, "helm": ManagerHelmRelease} {
		prefix := group + ".toolkit.fluxcd.io/"
		add(kind, cmp.Or(labels[prefix+"namespace"], sts.Namespace), labels[prefix+"name"], false)
	}
	slices.SortStableFunc(names, func(a, b managerName) int { return strings.Compare(string(a.kind), string(b.kind)) })
	return names
}

// trackedApplication reads Argo CD's tracking id, APPLICATION:GROUP/KIND:NAMESPACE/NAME. An id that names
// another object was copied from that object, and Argo CD ignores it as well.
func trackedApplication(sts *appsv1.StatefulSet) (namespace, name string, ours bool) {
	id, found := sts.GetAnnotations()["argocd.argoproj.io/tracking-id"]
	if !found {
		return "", "", false
	}
	application, object, whole := strings.Cut(id, ":")
	if whole && object != "apps/StatefulSet:"+sts.Namespace+"/"+sts.Name {
		return "", "", false
	}
	namespace, name = applicationName(application)
	return namespace, name, true
}

// applicationName splits the name of an Application that is not in Argo CD's own namespace: NAMESPACE_NAME.
func applicationName(text string) (namespace, name string) {
	if namespace, name, found := strings.Cut(text, "_"); found {
		return namespace, name
	}
	return "", text
}

// readManagers reads the objects that a mark names. Several Applications can have one name.
func (c *Client) readManagers(ctx context.Context, named managerName, sts *appsv1.StatefulSet) ([]Manager, error) {
	unknown := Manager{Kind: named.kind, Namespace: named.namespace, Name: named.name, State: ManagerUnknown, Doubtful: named.guess}
	if !isName(named.name) || named.namespace != "" && !isName(named.namespace) {
		if named.guess {
			return nil, nil
		}
		unknown.Why = fmt.Sprintf("the StatefulSet's mark names %.100q, which is not a "+
			"name", strings.TrimPrefix(named.namespace+"/"+named.name, "/"))
		unknown.Namespace, unknown.Name = "NAMESPACE", "NAME"
		return []Manager{unknown}, nil
	}
	if named.namespace == "" && named.kind == ManagerApplication {
		found, why, err := c.listManagers(ctx, named.kind, "", fields.OneTermEqualSelector(metav1.ObjectNameField, named.name).String())
		found = slices.DeleteFunc(found, func(object unstructured.Unstructured) bool {
			return object.GetName() != named.name || named.guess && !holdsStatefulSet(object.Object, sts)
		})
		switch {
		case err != nil:
			return nil, err
		case len(found) > 0 || named.guess && (why == nil || why.absent):
			return managersOf(named.kind, found), nil
		case named.guess, why != nil && why.absent:
			unknown.Why = why.String()
			return []Manager{unknown}, nil
		case why == nil:
			unknown.Why = "there is no Application of that name in this cluster: perhaps Argo CD is in another"
			return []Manager{unknown}, nil
		}
		named.namespace = argoNamespace // we may not list all of them
	}
	object, why, err := c.getManager(ctx, named)
	switch {
	case err != nil:
		return nil, err
	case why != nil:
		unknown.Why = why.String()
		return []Manager{unknown}, nil
	default:
		return managersOf(named.kind, []unstructured.Unstructured{*object}), nil
	}
}

// isName reports whether an object can have this name. Any other text must not get into a command that we tell a person to type.
func isName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// scaledObjects are KEDA's ScaledObjects that target the StatefulSet.
func (c *Client) scaledObjects(ctx context.Context, sts *appsv1.StatefulSet) ([]Manager, error) {
	found, why, err := c.listManagers(ctx, ManagerScaledObject, sts.Namespace, "")
	if err != nil {
		return nil, err
	}
	if why != nil && !why.absent {
		return []Manager{{Kind: ManagerScaledObject, Namespace: sts.Namespace, State: ManagerUnknown, Doubtful: true, Why: why.String()}}, nil
	}
	return managersOf(ManagerScaledObject, slices.DeleteFunc(found, func(object unstructured.Unstructured) bool {
		target, _, _ := unstructured.NestedStringMap(object.Object, "spec", "scaleTargetRef")
		group, _, _ := strings.Cut(cmp.Or(target["apiVersion"], "apps/v1"), "/")
		return group != "apps" || target["kind"] != "StatefulSet" || target["name"] != sts.Name
	})), nil
}

func managersOf(kind ManagerKind, objects []unstructured.Unstructured) []Manager {
	var managers []Manager
	for _, object := range objects {
		managers = append(managers, managerOf(kind, object))
	}
	return managers
}

// managerOf says whether a manager is active.
func managerOf(kind ManagerKind, object unstructured.Unstructured) Manager {
	m := Manager{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(), State: ManagerActive}
	off := false
	switch kind {
	case ManagerApplication:
		for _, owner := range object.GetOwnerReferences() {
			if owner.Kind == "ApplicationSet" {
				m.MadeBy = object.GetNamespace() + "/" + owner.Name
			}
		}
		policy, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "syncPolicy", "automated")
		automated, isMap := policy.(map[string]any)
		enabled, isBool := automated["enabled"].(bool)
		off = err == nil && (policy == nil || isMap && isBool && !enabled)
		if !off {
			m.Automated = switches(automated)
		}
	case ManagerScaledObject:
		marks := object.GetAnnotations()
		off = marks["autoscaling.keda.sh/paused"] == "true" || marks["autoscaling.keda.sh/paused-replicas"] == "0"
	default:
		suspend, _, err := unstructured.NestedBool(object.Object, "spec", "suspend")
		off = err == nil && suspend
	}
	if off {
		m.State = ManagerSuspended
	}
	return m
}

// switches are the known settings of automated sync, as JSON. They become part of a command that a person
// types, so switches drops everything else that somebody may have written there.
func switches(automated map[string]any) string {
	known := map[string]bool{}
	for _, name := range []string{"prune", "selfHeal", "allowEmpty"} {
		if on, isBool := automated[name].(bool); isBool {
			known[name] = on
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		return "{}"
	}
	return string(text)
}

// holdsStatefulSet reports whether an Application's status lists the StatefulSet among its objects.
func holdsStatefulSet(application map[string]any, sts *appsv1.StatefulSet) bool {
	resources, _, _ := unstructured.NestedSlice(application, "status", "resources")
	return slices.ContainsFunc(resources, func(resource any) bool {
		r, _ := resource.(map[string]any)
		return r["group"] == "apps" && r["kind"] == "StatefulSet" && r["namespace"] == sts.Namespace && r["name"] == sts.Name
	})
}

// unreadable says why an object of another tool could not be read.
type unreadable struct {
	// absent: the cluster does not have this kind at all.
	absent bool
	text   string
}

// String says why.
func (u *unreadable) String() string { return u.text }

func (c *Client) getManager(ctx context.Context, named managerName) (*unstructured.Unstructured, *unreadable, error) {
	var why *unreadable
	for _, resource := range managerResource(named.kind) {
		if c.Dynamic == nil {
			break
		}
		object, err := c.Dynamic.Resource(resource).Namespace(named.namespace).Get(ctx, named.name, metav1.GetOptions{})
		if err == nil {
			return object, nil, nil
		}
		if why, err = c.whyUnreadable(err, resource, "get", named.namespace); err != nil {
			return nil, nil, err
		}
		if !why.absent {
			break
		}
	}
	if why == nil {
		why = &unreadable{absent: true, text: "nothing is connected that could read it"}
	}
	return nil, why, nil
}

func (c *Client) listManagers(
	ctx context.Context,
	kind ManagerKind,
	namespace, selector string,
) ([]unstructured.Unstructured, *unreadable, error) {
	resource := managerResource(kind)[0]
	if c.Dynamic == nil {
		return nil, &unreadable{absent: true, text: "nothing is connected that could read it"}, nil
	}
	list, err := c.Dynamic.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		why, err := c.whyUnreadable(err, resource, "list", namespace)
		return nil, why, err
	}
	return list.Items, nil, nil
}

// whyUnreadable tells a missing right, a missing kind and a missing object from other failures, which it returns as the error.
func (c *Client) whyUnreadable(err error, resource schema.GroupVersionResource, verb, namespace string) (*unreadable, error) {
	kind, where := resource.GroupResource().String(), "all namespaces"
	if namespace != "" {
		where = "namespace " + namespace
	}
	absent := &unreadable{absent: true, text: fmt.Sprintf("this cluster has no %s: perhaps it is managed from another", kind)}
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return absent, nil // the cluster does not even know the kind
	case apierrors.IsNotFound(err):
		return &unreadable{text: fmt.Sprintf("%s has none of that name: perhaps it is managed from another cluster", where)}, nil
	case apierrors.IsForbidden(err) && !c.serves(resource): // the API server checks rights before it looks for the kind
		return absent, nil
	case apierrors.IsForbidden(err):
		return &unreadable{text: fmt.Sprintf("the right to %s %s in %s is missing (docs/rbac.md)", verb, kind, where)}, nil
	default:
		return nil, fmt.Errorf("%s %s in %s: %w", verb, kind, where, err)
	}
}

// serves reports whether the cluster has a resource, as far as we can tell: everybody may ask which resources there are.
func (c *Client) serves(resource schema.GroupVersionResource) bool {
	list, err := c.Kube.Discovery().ServerResourcesForGroupVersion(resource.GroupVersion().String())
	if err != nil {
		return !apierrors.IsNotFound(err)
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource })
}

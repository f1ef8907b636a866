//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// right is something that an account may do: a verb, and its object, as in "get pods/log" or "list jobs.batch", with a
// name if there is one: "get namespaces kube-system".
type right string

func rightOf(verb, group, resource, name string) right {
	base, sub, isSub := strings.Cut(resource, "/")
	if group != "" {
		base += "." + group
	}
	if isSub {
		base += "/" + sub
	}
	return right(strings.TrimSpace(verb + " " + base + " " + name))
}

// rightsOf lists each right in rules.
func rightsOf(rules []rbacv1.PolicyRule) map[right]bool {
	rights := map[right]bool{}
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						rights[rightOf(verb, group, resource, name)] = true
					}
				}
			}
		}
	}
	return rights
}

// rulesIn reads the rules of the role in a manifest.
func rulesIn(t *testing.T, file string) []rbacv1.PolicyRule {
	t.Helper()
	rules, err := readRules(file)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func readRules(file string) ([]rbacv1.PolicyRule, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return role.Rules, nil
}

// verbs are all verbs, including those that mean something for a few resources only.
var verbs = []string{
	"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
	"bind", "escalate", "impersonate", "approve", "sign", "use",
}

// allowed asks the API server for everything that an account may do to anything, in one namespace or, if that is empty,
// in all of them. It asks for rights to single objects by the names that it gets.
func allowed(ctx context.Context, t *testing.T, kube kubernetes.Interface, namespace, account string, names ...string) map[right]bool {
	t.Helper()
	_, lists, err := kube.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	rights := map[right]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, list := range lists {
		apiGroup, _, found := strings.Cut(list.GroupVersion, "/")
		if !found {
			apiGroup = ""
		}
		for _, resource := range list.APIResources {
			for _, verb := range verbs {
				for _, name := range append([]string{""}, names...) {
					group.Go(func() error {
						yes, err := may(ctx, kube, account, namespace, verb, apiGroup, resource.Name, name)
						if yes {
							mu.Lock()
							rights[rightOf(verb, apiGroup, resource.Name, name)] = true
							mu.Unlock()
						}
						return err
					})
				}
			}
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	// An account that may do it to all objects may do it to each.
	maps.DeleteFunc(rights, func(r right, _ bool) bool {
		parts := strings.Fields(string(r))
		return len(parts) == 3 && rights[right(parts[0]+" "+parts[1])]
	})
	return rights
}

// may asks the API server whether an account may do something.
func may(ctx context.Context, kube kubernetes.Interface, account, namespace, verb, group, resource, name string) (bool, error) {
	base, sub, _ := strings.Cut(resource, "/")
	accountNamespace, _, _ := strings.Cut(strings.TrimPrefix(account, "system:serviceaccount:"), ":")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + accountNamespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: base, Subresource: sub, Name: name,
		},
	}}
	answer, err := kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// client speaks to the API server as the administrator, as fast as the server answers.
func client(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 1000, 1000
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return kube
}

// TestRightsAreThoseOfTheManifest asks the API server for every verb on every resource: beyond what every account may
// do, stsbackup may do what the ClusterRole says, no less and no more.
func TestRightsAreThoseOfTheManifest(t *testing.T) {
	t.Parallel()
	ctx, kube := t.Context(), client(t)
	const operator, nobody = "system:serviceaccount:stsbackup:stsbackup", "system:serviceaccount:stsbackup:nobody"
	want := rightsOf(rulesIn(t, deployed("base", "clusterrole.yaml")))
	got := allowed(ctx, t, kube, "", operator, "kube-system")
	everybody := allowed(ctx, t, kube, "", nobody, "kube-system")
	maps.DeleteFunc(got, func(r right, _ bool) bool { return everybody[r] })
	if diff := cmp.Diff(sortedRights(want), sortedRights(got)); diff != "" {
		t.Errorf("rights (-manifest +API server):\n%s", diff)
	}
	for _, r := range sortedRights(got) {
		if reason := neverGranted(r); reason != "" {
			t.Errorf("%s: %s", r, reason)
		}
	}
	// Rights in single namespaces would be added to these: there must be none.
	for _, namespace := range []string{"stsbackup", "kube-system", "default"} {
		here, there := rules(ctx, t, namespace, operator), rules(ctx, t, "", operator)
		if diff := cmp.Diff(there, here); diff != "" {
			t.Errorf("rules in namespace %s (-anywhere +there):\n%s", namespace, diff)
		}
	}
}

// neverGranted says why stsbackup must never have a right; empty for rights that it may have.
func neverGranted(r right) string {
	verb, object, _ := strings.Cut(string(r), " ")
	switch {
	case object == "secrets" && verb != "create" && verb != "delete":
		return "it could read, or change, the secrets of others"
	case strings.HasPrefix(object, "pods/") && object != "pods/log",
		object == "pods" && (verb == "update" || verb == "patch"),
		object == createdPods:
		return "it could run what it likes in the pods of others"
	case strings.HasPrefix(object, "serviceaccounts/"),
		strings.HasPrefix(object, "nodes/"),
		strings.Contains(object, "rbac.authorization.k8s.io"):
		return "it could become somebody else"
	case slices.Contains([]string{"impersonate", "bind", "escalate", "deletecollection", "use", "approve", "sign"}, verb),
		strings.Contains(object, "*"),
		verb == "*":
		return "it is more than any operation takes"
	case object == "persistentvolumes" && verb == "delete":
		return "no volume is ever deleted by itself"
	}
	return ""
}

// TestNeverGranted shows that neverGranted can reject a right.
func TestNeverGranted(t *testing.T) {
	for _, r := range []right{
		"get secrets", "list secrets", "watch secrets", "patch secrets", "create pods/exec", "get pods/exec", "create pods/attach", right(
			"create " + createdPods,
		), "update pods",
		"create serviceaccounts/token", "get nodes/proxy", "create clusterrolebindings.rbac.authorization.k8s.io", "impersonate users",
		"delete persistentvolumes", "get *",
	} {
		if neverGranted(r) == "" {
			t.Errorf("%s may be granted", r)
		}
	}
	for _, r := range []right{"create secrets", "delete secrets", "get pods/log", "get nodes", "delete pods"} {
		if neverGranted(r) != "" {
			t.Errorf("%s may not be granted", r)
		}
	}
}

// rules asks the API server for the account's own rules in a namespace, which must be a real one or "".
func rules(ctx context.Context, t *testing.T, namespace, account string) []right {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate.UserName = account
	own, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if namespace == "" {
		namespace = "there-is-no-such-namespace"
	}
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	answer, err := own.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil || answer.Status.Incomplete {
		t.Fatalf("rules of %s in %s: %v, incomplete %t", account, namespace, err, answer.Status.Incomplete)
	}
	var policy []rbacv1.PolicyRule
	for _, rule := range answer.Status.ResourceRules {
		policy = append(
			policy,
			rbacv1.PolicyRule{Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames},
		)
	}
	return sortedRights(rightsOf(policy))
}

func sortedRights(rights map[right]bool) []right { return slices.Sorted(maps.Keys(rights)) }

// TestNamespacedRights: outside of its namespace, the overlay for one namespace may only read what the test lists.
func TestNamespacedRights(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "namespaced-rights")
	account := "system:serviceaccount:" + s.Namespace + ":stsbackup"
	s.kustomize("apply", "namespaced", "namespace: "+s.Namespace+"\nnameSuffix: \"\"\n")
	t.Cleanup(func() { s.removeClusterRights("stsbackup-namespaced") })
	everywhere := rightsOf(rulesIn(t, deployed("overlays", "namespaced", "clusterrole.yaml")))
	s.until(
		"the rights outside of the namespace are those of the manifest",
		func() (bool, string) { // it may take the API server a moment to know them
			diff := cmp.Diff(sortedRights(everywhere), without(rules(s.ctx, t, "default", account), rules(s.ctx, t, "default", account+"-nobody")))
			return diff == "", "(-manifest +API server):\n" + diff
		},
	)
	inside := rightsOf(rulesIn(t, deployed("overlays", "namespaced", "role.yaml")))
	maps.Copy(inside, everywhere)
	s.until("the rights in the namespace are those of the manifest", func() (bool, string) {
		diff := cmp.Diff(sortedRights(inside), without(rules(s.ctx, t, s.Namespace, account), rules(s.ctx, t, s.Namespace, account+"-nobody")))
		return diff == "", "(-manifest +API server):\n" + diff
	})
	for r := range everywhere {
		if verb, _, _ := strings.Cut(string(r), " "); verb != "get" && verb != "list" && verb != "watch" {
			t.Errorf("%s changes what is not in the namespace", r)
		}
	}
	base := rightsOf(rulesIn(t, deployed("base", "clusterrole.yaml")))
	for r := range inside {
		if !base[r] {
			t.Errorf("%s is not among the rights of deploy/base", r)
		}
	}
}

func without(rights, others []right) []right {
	return slices.DeleteFunc(rights, func(r right) bool { return slices.Contains(others, r) })
}

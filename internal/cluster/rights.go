package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rightsAtOnce is how many questions about rights we ask in parallel.
const rightsAtOnce = 8

// Right is one thing that an account may or may not do.
type Right struct {
	Verb, Group, Resource, Subresource, Name string
	// Namespace is where the right applies; empty for resources without a namespace.
	Namespace string
}

// clusterWide reports whether a resource belongs to no namespace.
func clusterWide(resource string) bool {
	return slices.Contains([]string{
		"namespaces", "nodes", "persistentvolumes", "storageclasses", "volumeattachments", "volumesnapshotclasses", "volumesnapshotcontents",
	}, resource)
}

// RightsOf splits rules into the single rights that they grant in a namespace.
func RightsOf(rules []rbacv1.PolicyRule, namespace string) (rights []Right) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						right := Right{Verb: verb, Group: group, Name: name, Namespace: namespace}
						right.Resource, right.Subresource, _ = strings.Cut(resource, "/")
						if clusterWide(right.Resource) {
							right.Namespace = ""
						}
						rights = append(rights, right)
					}
				}
			}
		}
	}
	return rights
}

// MissingRights asks the API server, in parallel, which of these rights our account lacks. Kinds that the
// cluster does not have need no right. The question itself needs none either.
func (c *Client) MissingRights(ctx context.Context, rights []Right) ([]Right, error) {
	groups, err := c.Kube.Discovery().ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("ask which kinds the cluster has: %w", err)
	}
	served := map[string]bool{"": true}
	for _, group := range groups.Groups {
		served[group.Name] = true
	}
	denied := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rightsAtOnce)
	for i, right := range rights {
		if !served[right.Group] {
			continue
		}
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace:   right.Namespace,
					Verb:        right.Verb,
					Group:       right.Group,
					Resource:    right.Resource,
					Subresource: right.Subresource,
					Name:        right.Name,
				},
			}}
			answer, err := c.Kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("ask whether we may %s %s: %w", right.Verb, right.Resource, err)
			}
			denied[i] = !answer.Status.Allowed
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []Right
	for i, right := range rights {
		if denied[i] {
			missing = append(missing, right)
		}
	}
	return missing, nil
}

// Account is our identity at the API server, as an argument of kubectl create clusterrolebinding: --user=… or --serviceaccount=….
func (c *Client) Account(ctx context.Context) (string, error) {
	answer, err := c.Kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the API server who we are: %w", err)
	}
	name := answer.Status.UserInfo.Username
	if account, is := strings.CutPrefix(name, "system:serviceaccount:"); is && strings.Count(account, ":") == 1 {
		return "--serviceaccount=" + account, nil
	}
	return "--user=" + name, nil
}

// RightsText lists rights, one line for each resource: "in namespace demo: create, delete jobs.batch".
func RightsText(rights []Right) (lines []string) {
	var order []string
	verbs := map[string][]string{}
	for _, right := range rights {
		what := right.Resource
		if right.Group != "" {
			what += "." + right.Group
		}
		if right.Subresource != "" {
			what += "/" + right.Subresource
		}
		what = strings.TrimSpace(what + " " + right.Name)
		where := "in the whole cluster"
		if right.Namespace != "" {
			where = "in namespace " + right.Namespace
		}
		key := where + "\x00" + what
		if verbs[key] == nil {
			order = append(order, key)
		}
		if !slices.Contains(verbs[key], right.Verb) {
			verbs[key] = append(verbs[key], right.Verb)
		}
	}
	slices.SortStableFunc(order, func(a, b string) int {
		whereA, _, _ := strings.Cut(a, "\x00")
		whereB, _, _ := strings.Cut(b, "\x00")
		return cmp.Compare(whereA, whereB)
	})
	for _, key := range order {
		where, what, _ := strings.Cut(key, "\x00")
		lines = append(lines, fmt.Sprintf("%s: %s %s", where, strings.Join(verbs[key], ", "), what))
	}
	return lines
}

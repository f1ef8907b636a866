package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// StatefulSets lists those of a namespace, or of all namespaces if namespace is empty, sorted by name.
func (c *Client) StatefulSets(ctx context.Context, namespace string) ([]*appsv1.StatefulSet, error) {
	var sets []*appsv1.StatefulSet
	list := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Kube.AppsV1().StatefulSets(namespace).List(ctx, options)
	}
	err := pager.New(list).EachListItem(ctx, metav1.ListOptions{}, func(item runtime.Object) error {
		set, ok := item.(*appsv1.StatefulSet)
		if !ok {
			return fmt.Errorf("the API server listed a %T", item)
		}
		sets = append(sets, set)
		return nil
	})
	switch {
	case err == nil:
		slices.SortFunc(sets, func(a, b *appsv1.StatefulSet) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		return sets, nil
	case apierrors.IsForbidden(err) && namespace == "":
		return nil, fmt.Errorf(
			"list the StatefulSets of all namespaces: %w; name one namespace, or see deploy/base/clusterrole.yaml for what this takes",
			err,
		)
	case namespace == "":
		return nil, fmt.Errorf("list the StatefulSets of all namespaces: %w", err)
	default:
		return nil, fmt.Errorf("list the StatefulSets of namespace %s: %w", namespace, err)
	}
}

// NamespaceLabels reads the labels of all namespaces, by their names.
func (c *Client) NamespaceLabels(ctx context.Context) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	list := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Kube.CoreV1().Namespaces().List(ctx, options)
	}
	err := pager.New(list).EachListItem(ctx, metav1.ListOptions{}, func(item runtime.Object) error {
		namespace, ok := item.(*corev1.Namespace)
		if !ok {
			return fmt.Errorf("the API server listed a %T", item)
		}
		labels[namespace.Name] = namespace.Labels
		return nil
	})
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf(
			"read the labels of namespaces, by which a policy selects: %w; select by their names, or see deploy/base/clusterrole.yaml for what "+
				"this takes",
			err,
		)
	}
	if err != nil {
		return nil, fmt.Errorf("read the labels of namespaces: %w", err)
	}
	return labels, nil
}

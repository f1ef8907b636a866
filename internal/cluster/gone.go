package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// Gone says, with an error that wraps ErrNotFound, that the StatefulSet or its namespace does not exist, or is
// being deleted. It serves to explain why something has failed: it returns nil if it cannot find out.
func (c *Client) Gone(ctx context.Context, namespace, statefulSet string) error {
	if err := c.namespaceThere(ctx, namespace); err != nil {
		return err
	}
	sts, err := c.Kube.AppsV1().StatefulSets(namespace).Get(ctx, statefulSet, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("StatefulSet %s/%s: %w", namespace, statefulSet, ErrNotFound)
	case err == nil && sts.DeletionTimestamp != nil:
		return fmt.Errorf("StatefulSet %s/%s: %w: it is being deleted", namespace, statefulSet, ErrNotFound)
	default:
		return nil
	}
}

// namespaceThere fails with ErrNotFound if the namespace is gone or being deleted. Not everyone may read it: the scheduler may list
// namespaces, because it follows their labels, but not get one; a user with rights in this namespace only may get it, but not list.
func (c *Client) namespaceThere(ctx context.Context, name string) error {
	namespaces := c.Kube.CoreV1().Namespaces()
	named := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	list, err := namespaces.List(ctx, metav1.ListOptions{FieldSelector: named})
	if err == nil {
		at := slices.IndexFunc(list.Items, func(n corev1.Namespace) bool { return n.Name == name })
		if at < 0 {
			return missing(name)
		}
		return standing(&list.Items[at])
	}
	namespace, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return missing(name)
	case err == nil:
		return standing(namespace)
	default:
		return nil
	}
}

// standing fails with ErrNotFound if the namespace is being deleted.
func standing(namespace *corev1.Namespace) error {
	if namespace.DeletionTimestamp != nil {
		return going(namespace.Name)
	}
	return nil
}

func missing(namespace string) error { return fmt.Errorf("namespace %s: %w", namespace, ErrNotFound) }

func going(namespace string) error {
	return fmt.Errorf("namespace %s: %w: it is being deleted", namespace, ErrNotFound)
}

// namespaceGone turns the API server's answer to a creation in a namespace that is gone or being deleted into
// an error that says so. It returns other errors unchanged.
func namespaceGone(namespace string, err error) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return going(namespace)
	case apierrors.IsNotFound(err):
		return missing(namespace)
	default:
		return err
	}
}

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

// Gone says, with an error that wraps ErrNotFound, that the StatefulSet or its namespace is not there, or is being deleted.
// It is for finding out why something has failed: what cannot be found out is nil.
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

// namespaceThere fails with ErrNotFound if the namespace is gone or going. Not everyone may look: the scheduler may list
// namespaces, whose labels it follows, but not get one; who has rights in this namespace only may get it, but not list.
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

// namespaceGone makes an error of what the API server says if something is to be created in a namespace that is gone or
// going. Other errors stay as they are.
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

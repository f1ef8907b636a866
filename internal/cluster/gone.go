package cluster

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// namespaceThere fails with ErrNotFound if the namespace is gone or going. Not everyone may look.
func (c *Client) namespaceThere(ctx context.Context, name string) error {
	namespace, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("namespace %s: %w", name, ErrNotFound)
	case err == nil && namespace.DeletionTimestamp != nil:
		return fmt.Errorf("namespace %s: %w: it is being deleted", name, ErrNotFound)
	default:
		return nil
	}
}

// namespaceGone makes an error of what the API server says if something is to be created in a namespace that is gone or
// going. Other errors stay as they are.
func namespaceGone(namespace string, err error) error {
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return errors.Join(fmt.Errorf("namespace %s: %w", namespace, ErrNotFound), err)
	}
	return err
}

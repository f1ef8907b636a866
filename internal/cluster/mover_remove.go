package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// removeMover deletes a mover's Job, pods and Secret, and waits until the pods are gone: only then is the claim free.
func (c *Client) removeMover(ctx context.Context, namespace, name string) error {
	background := metav1.DeletePropagationBackground
	err := c.Kube.BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete mover Job %s/%s: %w", namespace, name, err)
	}
	err = c.Kube.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete mover Secret %s/%s: %w", namespace, name, err)
	}
	return c.removePods(ctx, namespace, labels.Set{LabelMover: name}.String())
}

// removePods deletes the pods of a selector, and waits until they are gone.
func (c *Client) removePods(ctx context.Context, namespace, selector string) error {
	deleted := map[types.UID]bool{}
	err := await(ctx, c.relist(), c.pods(namespace, selector), func(pods []*corev1.Pod) (bool, error) {
		for _, pod := range pods {
			if deleted[pod.UID] {
				continue
			}
			err := c.Kube.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return false, fmt.Errorf("delete mover pod %s/%s: %w", namespace, pod.Name, err)
			}
			deleted[pod.UID] = true
		}
		return len(pods) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("remove mover pods in %s: %w", namespace, err)
	}
	return nil
}

// PodEnded reports whether nothing runs in a pod of this name: there is none, or it has come to its end.
func (c *Client) PodEnded(ctx context.Context, namespace, name string) (bool, error) {
	pod, err := c.Kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for pod %s/%s: %w", namespace, name, err)
	}
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed, nil
}

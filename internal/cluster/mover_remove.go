package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// requestsWithin bounds the requests before and after a wait that has its own limit.
const requestsWithin = 10 * time.Second

// endMover removes a mover when its run is over, even if the run ended because ctx has ended.
func (c *Client) endMover(ctx context.Context, job *batchv1.Job, secret *corev1.Secret, waiting func(string)) error {
	clean, cancel := WithLimit(context.WithoutCancel(ctx), cleanupWithin+requestsWithin)
	defer cancel()
	return c.removeMover(clean, job, secret, Removing{Limit: cleanupWithin, Waiting: waiting})
}

// removeMover deletes a mover's Job, its Secret if it has one, and the Job's pods, and waits until the pods are gone: only
// then is the claim free. A pod that does not go is a *Leftover, unless the pod has ended and only the Job controller still
// has to release it: after an outage of the API server that takes a minute and more, and the mover's work is done.
func (c *Client) removeMover(ctx context.Context, job *batchv1.Job, secret *corev1.Secret, removing Removing) error {
	if err := c.deleteJob(ctx, job, metav1.Preconditions{UID: &job.UID}); err != nil {
		return fmt.Errorf("delete mover Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if secret != nil {
		// The Secret would go with the Job, but its content should not wait for the garbage collector.
		as := metav1.Preconditions{UID: &secret.UID}
		err := c.Kube.CoreV1().Secrets(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{Preconditions: &as})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete mover Secret %s/%s: %w", job.Namespace, job.Name, err)
		}
	}
	mine := func(pod *corev1.Pod) bool {
		owner := metav1.GetControllerOf(pod)
		return isPodOf(pod.Name, job.Name) && (owner == nil || owner.UID == job.UID)
	}
	left, err := c.removePods(ctx, job.Namespace, labels.Set{LabelMover: job.Name}.String(), mine, removing.limit(), removing.Waiting)
	return errors.Join(err, joined(slices.DeleteFunc(left, func(l *Leftover) bool { return l.Ended })))
}

// deleteJob deletes a Job. It is no error if the Job is gone already, or another one has its name by now.
func (c *Client) deleteJob(ctx context.Context, job *batchv1.Job, as metav1.Preconditions) error {
	background := metav1.DeletePropagationBackground
	err := c.Kube.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &as})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && as.ResourceVersion == nil {
		return nil
	}
	return err
}

// removePods deletes those pods of a selector for which mine is true, and waits for at most limit until they are gone.
func (c *Client) removePods(ctx context.Context, namespace, selector string, mine func(*corev1.Pod) bool,
	limit time.Duration, waiting func(string),
) ([]*Leftover, error) {
	pods := leaving[*corev1.Pod]{
		client: c, view: c.pods(namespace, selector), mine: mine, why: c.podLeftover, waiting: waiting,
		remove: func(ctx context.Context, pod *corev1.Pod) error {
			return c.Kube.CoreV1().Pods(namespace).Delete(ctx, pod.Name, exactly(pod))
		},
	}
	left, err := pods.await(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("remove mover pods in %s: %w", namespace, err)
	}
	return left, nil
}

// joined returns the leftovers as one error; nil if there are none.
func joined(left []*Leftover) error {
	var all []error
	for _, one := range left {
		all = append(all, one)
	}
	return errors.Join(all...)
}

// PodEnded reports whether nothing runs in a pod of this name: there is no such pod, or it has ended.
func (c *Client) PodEnded(ctx context.Context, namespace, name string) (bool, error) {
	pod, err := c.Pod(ctx, namespace, name)
	return err == nil && (pod == nil || ended(pod)), err
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Sweep removes what other operations on the same StatefulSet have left in the cluster, and names what it removed.
// Call it with the StatefulSet's Lease held: then all other operations are dead. It removes only what carries an
// operation's label and, of claims, only those with a name that Operation.Name has made: the StatefulSet's own claims
// are never touched.
func (c *Client) Sweep(ctx context.Context, current Operation) ([]string, error) {
	return c.remove(ctx, current, selection.NotEquals)
}

// Cleanup removes all that the operation itself has made and not removed yet, and names it.
func (c *Client) Cleanup(ctx context.Context, op Operation) ([]string, error) {
	return c.remove(ctx, op, selection.Equals)
}

// remove deletes all objects of the operations that relate to op in this way, in the order that Kubernetes enforces.
// It goes on after a failure, since half a cleanup is better than none.
func (c *Client) remove(ctx context.Context, op Operation, relation selection.Operator) ([]string, error) {
	selector, err := operationSelector(op, relation)
	if err != nil {
		return nil, err
	}
	steps := []func(context.Context, string, string) ([]string, error){
		c.sweepJobs, c.sweepClaims, c.sweepVolumeSnapshots, c.sweepAccounts,
	}
	var removed []string
	var failures []error
	for _, step := range steps {
		names, err := step(ctx, op.Namespace, selector)
		removed = append(removed, names...)
		failures = append(failures, err)
	}
	return removed, errors.Join(failures...)
}

// operationSelector selects the objects of op, or those of all other operations on its StatefulSet.
func operationSelector(op Operation, relation selection.Operator) (string, error) {
	selector := labels.NewSelector()
	for _, part := range []struct {
		key      string
		operator selection.Operator
		values   []string
	}{
		{LabelManagedBy, selection.Equals, []string{ManagedBy}},
		{LabelStatefulSet, selection.Equals, []string{LabelValue(op.StatefulSet)}},
		{LabelOperation, selection.Exists, nil},
		{LabelOperation, relation, []string{LabelValue(op.ID)}},
	} {
		requirement, err := labels.NewRequirement(part.key, part.operator, part.values)
		if err != nil {
			return "", fmt.Errorf("select objects of %s: %w", op, err)
		}
		selector = selector.Add(*requirement)
	}
	return selector.String(), nil
}

// sweepJobs removes Jobs with their pods and Secrets. A Secret without its Job is removed by Kubernetes, so that nobody
// who backs up needs the right to list Secrets, which is the right to read them all.
func (c *Client) sweepJobs(ctx context.Context, namespace, selector string) (removed []string, err error) {
	list, err := c.Kube.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list mover Jobs in %s: %w", namespace, err)
	}
	var failures []error
	for _, job := range list.Items {
		failures = append(failures, c.removeMover(ctx, namespace, job.Name))
		removed = append(removed, "Job "+namespace+"/"+job.Name)
	}
	// Pods whose Job is gone already.
	failures = append(failures, c.removePods(ctx, namespace, selector))
	return removed, errors.Join(failures...)
}

func (c *Client) sweepClaims(ctx context.Context, namespace, selector string) (removed []string, err error) {
	list, err := c.Kube.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list temporary claims in %s: %w", namespace, err)
	}
	items := list.Items[:0]
	for _, claim := range list.Items {
		if strings.HasPrefix(claim.Name, namePrefix) {
			items = append(items, claim)
		}
	}
	return deleteAll(items, func(item int) (string, error) {
		return "temporary claim " + namespace + "/" + items[item].Name, c.DeleteTemporaryClaim(ctx, namespace, items[item].Name)
	})
}

func (c *Client) sweepVolumeSnapshots(ctx context.Context, namespace, selector string) (removed []string, err error) {
	list, err := c.Snapshots.SnapshotV1().VolumeSnapshots(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsNotFound(err) {
		return nil, nil // a cluster without the VolumeSnapshot API
	}
	if err != nil {
		return nil, fmt.Errorf("list VolumeSnapshots in %s: %w", namespace, err)
	}
	return deleteAll(list.Items, func(item int) (string, error) {
		return "VolumeSnapshot " + namespace + "/" + list.Items[item].Name, c.DeleteVolumeSnapshot(ctx, namespace, list.Items[item].Name)
	})
}

func (c *Client) sweepAccounts(ctx context.Context, namespace, selector string) (removed []string, err error) {
	accounts := c.Kube.CoreV1().ServiceAccounts(namespace)
	list, err := accounts.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list mover ServiceAccounts in %s: %w", namespace, err)
	}
	return deleteAll(list.Items, func(item int) (string, error) {
		name := list.Items[item].Name
		return "ServiceAccount " + namespace + "/" + name, accounts.Delete(ctx, name, metav1.DeleteOptions{})
	})
}

// deleteAll deletes items one after the other and names those that are gone.
func deleteAll[T any](items []T, remove func(item int) (name string, err error)) (removed []string, err error) {
	var failures []error
	for i := range items {
		name, err := remove(i)
		switch {
		case err == nil:
			removed = append(removed, name)
		case !apierrors.IsNotFound(err):
			failures = append(failures, fmt.Errorf("remove %s: %w", name, err))
		}
	}
	return removed, errors.Join(failures...)
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// releaseAttempts bounds how often we scale a StatefulSet to 0 that somebody scales up meanwhile.
const releaseAttempts = 10

// Release removes RestoringGate from the pod template of the StatefulSet of that uid, makes the other changes in scale, and
// returns the StatefulSet as changed. The error wraps ErrChanged if the StatefulSet is gone, or another one has its name.
//
// With a partition, the controller makes the pods of the ordinals below it from the current revision. Since Hold, that is
// the gated revision, whatever the template says later, and its pods would wait for ever. The template becomes the current
// revision only when there are no pods: so Release scales up only after that.
func (c *Client) Release(ctx context.Context, key Key, uid types.UID, scale Scale, limit time.Duration) (*appsv1.StatefulSet, error) {
	scale.Held = new(false)
	sts, err := c.StatefulSet(ctx, key.Namespace, key.Name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err == nil && sts.UID == uid && makesGated(sts) {
		if scale.Replicas == nil {
			scale.Replicas = new(Replicas(sts))
		}
		if scale.Retention == nil {
			scale.Retention = sts.Spec.PersistentVolumeClaimRetentionPolicy
		}
		if err := c.releaseEmpty(ctx, sts, limit); err != nil {
			return nil, err
		}
	}
	return c.SetScale(ctx, key, uid, scale)
}

// makesGated reports whether the controller would go on making gated pods after the gate was removed from the template.
func makesGated(sts *appsv1.StatefulSet) bool {
	same := sts.Status.CurrentRevision == sts.Status.UpdateRevision && sts.Status.ObservedGeneration >= sts.Generation
	if Gated(&sts.Spec.Template.Spec) {
		return Partitioned(sts) && sts.Status.CurrentRevision == sts.Status.UpdateRevision
	}
	return Partitioned(sts) && Replicas(sts) == 0 && !same // a Release that was interrupted
}

// releaseEmpty removes the gate while there are no replicas, and waits until the controller knows of no gated revision.
func (c *Client) releaseEmpty(ctx context.Context, sts *appsv1.StatefulSet, limit time.Duration) error {
	sets := c.Kube.AppsV1().StatefulSets(sts.Namespace)
	view := viewOf[*appsv1.StatefulSet](KeyOf(sts).Object(), metav1.ListOptions{}, sets.List, sets.Watch).named(sts.Name)
	var last *appsv1.StatefulSet
	for range releaseAttempts {
		if _, err := c.SetScale(ctx, KeyOf(sts), sts.UID, Scale{Replicas: new(int32(0)), Held: new(false), Retention: keepClaims()}); err != nil {
			return err
		}
		err := within(ctx, limit, func(ctx context.Context) error {
			return await(ctx, c.relist(), view, func(found []*appsv1.StatefulSet) (bool, error) {
				if len(found) == 0 || found[0].UID != sts.UID {
					return false, fmt.Errorf("StatefulSet %s/%s was deleted or made anew: %w", sts.Namespace, sts.Name, ErrChanged)
				}
				last = found[0]
				if Replicas(last) != 0 || last.Status.ObservedGeneration >= last.Generation && oneRevision(last) {
					return true, nil
				}
				pods, _, err := c.podsOf(sts).read(ctx)
				if err != nil && passing(err) {
					return false, nil
				}
				if err != nil {
					return false, fmt.Errorf("read the pods of StatefulSet %s/%s: %w", sts.Namespace, sts.Name, err)
				}
				return false, c.ungate(ctx, sorted(pods)) // the controller ends only Ready pods, if they are ordered
			})
		}, func(context.Context) string {
			return fmt.Sprintf(
				"StatefulSet %s/%s is scaled to 0, and its controller still holds on to revision %s beside %s: is kube-controller-manager running?",
				sts.Namespace,
				sts.Name,
				last.Status.CurrentRevision,
				last.Status.UpdateRevision,
			)
		})
		if err != nil || Replicas(last) == 0 {
			return err
		}
	}
	return fmt.Errorf(
		"let pods of StatefulSet %s/%s run again: with a partition it has to have 0 replicas for a moment, and somebody scales it up again and "+
			"again: %w",
		sts.Namespace,
		sts.Name,
		ErrChanged,
	)
}

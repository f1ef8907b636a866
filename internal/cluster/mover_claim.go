package cluster

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// awaitClaim waits until the mover's claim is bound, if its class binds claims at once. A pod made before that may miss
// the binding: the scheduler then leaves the pod unschedulable until it looks at all such pods again, minutes later.
// awaitClaim does not wait for a claim that waits for its first consumer, because the mover's pod is that consumer.
func (r *moverRun) awaitClaim(ctx context.Context) error {
	namespace, name := r.mover.Operation.Namespace, r.mover.Mount
	asked := false
	return await(
		ctx,
		r.client.relist(),
		r.client.claimsView(namespace).named(name),
		func(claims []*corev1.PersistentVolumeClaim) (bool, error) {
			if len(claims) == 0 {
				return false, fmt.Errorf(
					"mount claim %s/%s: it does not exist any more (deleted by somebody else?); run the command again",
					namespace,
					name,
				)
			}
			claim := claims[0]
			if claim.Status.Phase != corev1.ClaimPending {
				return true, nil
			}
			if !asked {
				waits, err := r.client.waitsForConsumer(ctx, claim)
				if waits || err != nil {
					return waits, err
				}
				asked = true
			}
			if !r.due() {
				return false, nil
			}
			reason, message := r.client.lastWarning(ctx, namespace, claim.UID)
			return false, r.judge(ctx, podState{
				reason:  cmp.Or(reason, reasonUnbound),
				message: fmt.Sprintf("claim %s: %s", name, cmp.Or(message, "no volume has been made for it yet")),
			})
		},
	)
}

// waitsForConsumer reports whether a claim is bound only once a pod uses it.
func (c *Client) waitsForConsumer(ctx context.Context, claim *corev1.PersistentVolumeClaim) (bool, error) {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		return false, nil
	}
	name := *claim.Spec.StorageClassName
	classes, err := c.Kube.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(),
	})
	if apierrors.IsForbidden(err) {
		// Not to wait is right in most cases, and at worst costs minutes.
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read StorageClass %s: %w", name, err)
	}
	return delaysBinding(name, classes.Items), nil
}

// delaysBinding reports whether the class of that name leaves claims unbound until a pod uses them. Kubernetes
// binds claims of a class that does not exist at once, to volumes that people made.
func delaysBinding(name string, classes []storagev1.StorageClass) bool {
	for _, class := range classes {
		if class.Name == name {
			return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
		}
	}
	return false
}

package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// volumeSlow is how long a wait lasts before we say which volumes we wait for.
const volumeSlow = 10 * time.Second

// DeleteVolume makes the driver of a provisioned volume that no claim holds delete the volume, with its data. The
// error wraps ErrChanged if the volume is no longer that version, for instance because a claim has it again.
func (c *Client) DeleteVolume(ctx context.Context, name string, uid types.UID, version string) error {
	const policy = corev1.PersistentVolumeReclaimDelete
	volume, err := c.patchVolume(ctx, name, map[string]any{
		"metadata": map[string]any{"uid": uid, "resourceVersion": version},
		"spec":     map[string]any{"persistentVolumeReclaimPolicy": policy},
	})
	if err != nil {
		return freeError(name, err)
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != policy {
		return fmt.Errorf("set the reclaim policy of volume %s to %s: it stays %s; does something else manage it?", name, policy, got)
	}
	return nil
}

// GiveUpVolume makes a displaced volume that people made Available for any claim, with the data still on it.
// The error wraps ErrChanged as in DeleteVolume.
func (c *Client) GiveUpVolume(ctx context.Context, name string, uid types.UID, version string) error {
	_, err := c.patchVolume(ctx, name, map[string]any{
		"metadata": map[string]any{
			"uid": uid, "resourceVersion": version,
			"labels": map[string]any{LabelManagedBy: nil, LabelStatefulSet: nil, LabelDisplacedFrom: nil},
			"annotations": map[string]any{
				AnnotationStatefulSet: nil, AnnotationDisplacedFrom: nil, AnnotationDisplacedClaim: nil, AnnotationDisplacedPolicy: nil,
				AnnotationDisplacedBy: nil, AnnotationDisplacedAt: nil, AnnotationDisplacedWhy: nil,
			},
		},
		"spec": map[string]any{"claimRef": nil},
	})
	if err != nil {
		return freeError(name, err)
	}
	return nil
}

func freeError(volume string, err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("free volume %s: %w", volume, ErrChanged)
	}
	return fmt.Errorf("free volume %s: %w", volume, err)
}

// AwaitVolumesGone waits until the volumes, given by name, are gone. It returns those that still exist after
// limit, each with the reason as far as known. It tells slow once, after ten seconds, what it waits for.
func (c *Client) AwaitVolumesGone(
	ctx context.Context,
	volumes map[string]types.UID,
	limit time.Duration,
	slow func(remaining int),
) (map[string]string, error) {
	api := c.Kube.CoreV1().PersistentVolumes()
	v := viewOf[*corev1.PersistentVolume]("volumes that are being deleted",
		metav1.ListOptions{LabelSelector: LabelManagedBy + "=" + ManagedBy}, api.List, api.Watch)
	v.match = func(volume *corev1.PersistentVolume) bool { return volumes[volume.Name] == volume.UID }
	var remaining []*corev1.PersistentVolume
	begun, said := c.now(), false
	limited, cancel := WithLimit(ctx, limit)
	defer cancel()
	err := await(limited, c.relist(), v, func(present []*corev1.PersistentVolume) (bool, error) {
		remaining = present
		if !said && len(present) > 0 && c.now().Sub(begun) >= volumeSlow {
			said = true
			slow(len(present))
		}
		return len(present) == 0, nil
	})
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return nil, err
	}
	left := map[string]string{}
	for _, volume := range remaining {
		left[volume.Name] = c.whyNotDeleted(ctx, volume)
	}
	return left, nil
}

// whyNotDeleted says, as far as known, why a driver has not deleted a volume.
func (c *Client) whyNotDeleted(ctx context.Context, volume *corev1.PersistentVolume) string {
	if volume.Status.Message != "" {
		return fmt.Sprintf("it is %s: %s", volume.Status.Phase, volume.Status.Message)
	}
	// Kubernetes puts events of objects without a namespace into this namespace.
	if reason, message := c.lastWarning(ctx, metav1.NamespaceDefault, volume.UID); reason != "" {
		return fmt.Sprintf("%s: %s", reason, message)
	}
	return fmt.Sprintf("it is %s; is the provisioner of %s running?", volume.Status.Phase, volume.Annotations[annotationProvisionedBy])
}

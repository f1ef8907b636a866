package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// volumeGoneWithin bounds the wait for the volume behind a deleted temporary claim. It goes by itself; some drivers
// refuse to delete a VolumeSnapshot before, and then say so and try again.
const volumeGoneWithin = 30 * time.Second

// snapshotGroup is the API group of VolumeSnapshots, as a claim's dataSource names it.
const snapshotGroup = "snapshot.storage.k8s.io"

// TemporaryClaim is the claim through which a mover reads a VolumeSnapshot of source: like source, but filled from the
// VolumeSnapshot, and as large as the largest of source's request, source's capacity and the VolumeSnapshot's own
// size (bytes; drivers refuse less, and a volume may have been grown).
func TemporaryClaim(op Operation, ordinal int32, template string, source *corev1.PersistentVolumeClaim, volumeSnapshot string, size int64) *corev1.PersistentVolumeClaim {
	largest := *resource.NewQuantity(size, resource.BinarySI)
	for _, quantity := range []resource.Quantity{
		source.Spec.Resources.Requests[corev1.ResourceStorage],
		source.Status.Capacity[corev1.ResourceStorage],
	} {
		if quantity.Cmp(largest) > 0 {
			largest = quantity
		}
	}
	group := snapshotGroup
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   op.Namespace,
			Name:        op.VolumeName(ordinal, template),
			Labels:      op.VolumeLabels(ordinal, source.Name),
			Annotations: op.Annotations(source.Name),
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      source.Spec.AccessModes,
			StorageClassName: source.Spec.StorageClassName,
			VolumeMode:       source.Spec.VolumeMode,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: largest}},
			DataSource:       &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "VolumeSnapshot", Name: volumeSnapshot},
		},
	}
}

// CreateClaim creates a claim that TemporaryClaim has made.
func (c *Client) CreateClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if _, err := c.Kube.CoreV1().PersistentVolumeClaims(claim.Namespace).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create temporary claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// DeleteTemporaryClaim deletes a temporary claim with its volume, whatever the class's reclaim policy, and waits until
// both are gone. There being none is no error. Without the right to change the volume, what becomes of that is as its
// reclaim policy says; the claim is deleted all the same, and the error names a volume that stays.
func (c *Client) DeleteTemporaryClaim(ctx context.Context, namespace, name string) error {
	claims := c.Kube.CoreV1().PersistentVolumeClaims(namespace)
	claim, err := claims.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read temporary claim %s/%s: %w", namespace, name, err)
	}
	denied := c.releaseVolume(ctx, claim)
	if denied != nil && !apierrors.IsForbidden(denied) {
		return denied
	}
	if err := claims.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete temporary claim %s/%s: %w", namespace, name, err)
	}
	v := viewOf[*corev1.PersistentVolumeClaim]("claim "+namespace+"/"+name, metav1.ListOptions{}, claims.List, claims.Watch)
	if err := awaitGone(ctx, c.relist(), v.named(name)); err != nil {
		return err
	}
	if denied != nil {
		return fmt.Errorf("temporary claim %s/%s is deleted, and its volume may stay: %w; delete that volume, and let the class have the reclaim policy Delete", namespace, name, denied)
	}
	if claim.Spec.VolumeName == "" {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, volumeGoneWithin)
	defer cancel()
	volumes := c.Kube.CoreV1().PersistentVolumes()
	pv := viewOf[*corev1.PersistentVolume]("volume "+claim.Spec.VolumeName, metav1.ListOptions{}, volumes.List, volumes.Watch)
	if err := awaitGone(soon, c.relist(), pv.named(claim.Spec.VolumeName)); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

// releaseVolume sees to it that the volume of a temporary claim goes with the claim.
func (c *Client) releaseVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.VolumeName == "" {
		return nil
	}
	volumes := c.Kube.CoreV1().PersistentVolumes()
	volume, err := volumes.Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read volume %s: %w", claim.Spec.VolumeName, err)
	}
	if volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != claim.UID ||
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	patch := []byte(`{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}`)
	if _, err := volumes.Patch(ctx, volume.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("set volume %s of temporary claim %s/%s to be deleted with it: %w", volume.Name, claim.Namespace, claim.Name, err)
	}
	return nil
}

// IsReadWriteOncePod reports whether only one pod at a time may mount the claim.
func IsReadWriteOncePod(claim *corev1.PersistentVolumeClaim) bool {
	return sets.New(claim.Spec.AccessModes...).Has(corev1.ReadWriteOncePod)
}

// IsBlock reports whether the claim is a raw device, without a filesystem.
func IsBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

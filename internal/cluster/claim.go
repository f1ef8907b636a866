package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// snapshotGroup is the API group of VolumeSnapshots, as a claim's dataSource names it.
const snapshotGroup = "snapshot.storage.k8s.io"

// TemporaryClaim is the claim through which a mover reads a VolumeSnapshot of source: like source, but filled
// from the VolumeSnapshot. It is as large as the largest of source's request, source's capacity and the
// VolumeSnapshot's own size (in bytes): drivers refuse less, and a volume may have grown.
func TemporaryClaim(
	op Operation,
	ordinal int32,
	template string,
	source *corev1.PersistentVolumeClaim,
	volumeSnapshot string,
	size int64,
) *corev1.PersistentVolumeClaim {
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

// CreateClaim creates a claim that TemporaryClaim has made for the operation, and returns it as created. If a quota has
// no room for it, CreateClaim waits for as long as busy says that others of the operation have claims, which will go.
func (c *Client) CreateClaim(
	ctx context.Context,
	op Operation,
	claim *corev1.PersistentVolumeClaim,
	busy func() bool,
) (*corev1.PersistentVolumeClaim, error) {
	var created *corev1.PersistentVolumeClaim
	err := c.whenRoom(ctx, busy, func() (err error) {
		created, err = c.Kube.CoreV1().PersistentVolumeClaims(claim.Namespace).Create(ctx, claim, metav1.CreateOptions{})
		return err
	})
	if apierrors.IsAlreadyExists(err) {
		if other, readErr := c.Claim(ctx, ClaimKeyOf(claim)); readErr == nil && other != nil {
			return nil, op.taken("temporary claim", other, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create temporary claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return created, nil
}

// IsReadWriteOncePod reports whether only one pod at a time may mount the claim.
func IsReadWriteOncePod(claim *corev1.PersistentVolumeClaim) bool {
	return sets.New(claim.Spec.AccessModes...).Has(corev1.ReadWriteOncePod)
}

// IsBlock reports whether a claim or a volume of this mode is a raw device, without a filesystem.
func IsBlock(mode *corev1.PersistentVolumeMode) bool {
	return mode != nil && *mode == corev1.PersistentVolumeBlock
}

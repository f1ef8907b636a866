package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// ReleaseSpare makes a volume that people made Available again after the claim that used it is gone. If reserved is true, the
// volume stays reserved for a claim of that name. ReleaseSpare leaves volumes alone that another claim holds or that are set aside.
func (c *Client) ReleaseSpare(ctx context.Context, volume string, claim ClaimKey, reserved bool) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.releaseSpare(ctx, volume, claim, reserved) })
}

func (c *Client) releaseSpare(ctx context.Context, name string, claim ClaimKey, reserved bool) error {
	volume, err := c.Kube.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read volume %s: %w", name, err)
	}
	ref := volume.Spec.ClaimRef
	if volume.Labels[LabelDisplacedFrom] != "" { // nobody may take what is set aside
		return nil
	}
	if ref == nil || ref.Namespace != claim.Namespace || ref.Name != claim.Name || reserved && ref.UID == "" {
		return nil
	}
	user, err := c.Claim(ctx, claim)
	if err != nil {
		return err
	}
	if user != nil && user.UID == ref.UID {
		return nil
	}
	var free any // null
	if reserved {
		free = map[string]any{"uid": nil, "resourceVersion": nil}
	}
	_, err = c.patchVolume(ctx, name, map[string]any{
		"metadata": map[string]any{"uid": volume.UID, "resourceVersion": volume.ResourceVersion},
		"spec":     map[string]any{"claimRef": free},
	})
	if err != nil {
		return fmt.Errorf("make volume %s Available again: %w", name, err)
	}
	return nil
}

// KeepSpare marks a volume that people made as set aside, after somebody has deleted the claim that used it: pods may
// have written to the volume. labels are the labels for the claim that will be created for the volume again.
// KeepSpare leaves a volume alone that another claim holds, or that is set aside already; kept says that it did not.
func (c *Client) KeepSpare(
	ctx context.Context,
	op Operation,
	name, claim string,
	labels map[string]string,
	at time.Time,
) (kept bool, err error) {
	volume, err := c.Volume(ctx, name)
	if err != nil || volume == nil || volume.Labels[LabelDisplacedFrom] != "" {
		return false, err
	}
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.UID == "" || ref.Namespace != op.Namespace || ref.Name != claim {
		return false, nil
	}
	user, err := c.Claim(ctx, op.Claim(claim))
	if err != nil || user != nil && user.UID == ref.UID {
		return false, err
	}
	was := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim, Namespace: op.Namespace, UID: ref.UID, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: volume.Spec.AccessModes, StorageClassName: &volume.Spec.StorageClassName, VolumeMode: volume.Spec.VolumeMode,
			Resources:  corev1.VolumeResourceRequirements{Requests: volume.Spec.Capacity},
			VolumeName: volume.Name,
		},
	}
	return true, c.MarkDisplaced(ctx, op, NewDisplaced(was, volume), WhyIncomplete, at)
}

// GiveBackSpare restores the earlier state of a volume that people made, and that SetAside has just taken from its claim: unmarked,
// with its own reclaim policy, and Available; if reserved is true, only to a claim of that name. The caller has proved that nobody
// has written to the volume, and has emptied it. GiveBackSpare leaves a volume alone that is no longer as it was set aside.
func (c *Client) GiveBackSpare(ctx context.Context, d Displaced, reserved bool) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		volume, err := c.Volume(ctx, d.Volume)
		if err != nil || volume == nil || volume.UID != d.VolumeUID {
			return err
		}
		if ref := volume.Spec.ClaimRef; ref == nil || ref.UID != d.UID {
			return nil
		}
		user, err := c.Claim(ctx, ClaimKeyOf(d.Claim))
		if err != nil || user != nil && user.UID == d.UID {
			return err
		}
		var free any // null
		if reserved {
			free = map[string]any{"uid": nil, "resourceVersion": nil}
		}
		patch := unmarked(volume, d)
		patch["spec"] = map[string]any{"claimRef": free, "persistentVolumeReclaimPolicy": d.ReclaimPolicy}
		if _, err = c.patchVolume(ctx, d.Volume, patch); err != nil {
			return fmt.Errorf("make volume %s Available again: %w", d.Volume, err)
		}
		return nil
	})
}

// Unreserve ends the reservation of volumes that were set aside from a claim and then reserved for a new claim
// of that name. Otherwise a new claim of the name, which is meant to get a new volume, would get one of them.
func (c *Client) Unreserve(ctx context.Context, claim ClaimKey) error {
	marked, err := c.Kube.CoreV1().PersistentVolumes().List(
		ctx,
		metav1.ListOptions{LabelSelector: LabelDisplacedFrom + "=" + LabelValue(claim.Name)},
	)
	if err != nil {
		return fmt.Errorf("list the volumes that were set aside from claim %s: %w", claim, err)
	}
	for i := range marked.Items {
		volume := &marked.Items[i]
		ref := volume.Spec.ClaimRef
		if ref == nil || ref.Namespace != claim.Namespace || ref.Name != claim.Name || ref.UID != "" {
			continue
		}
		_, err := c.patchVolume(ctx, volume.Name, map[string]any{
			"metadata": map[string]any{"uid": volume.UID, "resourceVersion": volume.ResourceVersion},
			// No claim has this UID: the volume counts as Released, as it did when it was set aside.
			"spec": map[string]any{"claimRef": map[string]any{"uid": "none-" + volume.UID}},
		})
		if err != nil {
			return fmt.Errorf("have volume %s be bound to no new claim %s: %w", volume.Name, claim, err)
		}
	}
	return nil
}

// FoundFor says why a volume that is bound to a claim cannot have been made for that claim, or "" if it was:
// the binder also takes existing volumes that are reserved for the claim's name or fit the claim.
func FoundFor(volume *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) string {
	switch {
	case volume.Labels[LabelDisplacedFrom] != "":
		return "it had been set aside"
	case volume.Annotations[annotationBoundByController] != "":
		return "it was there before, and the binder chose it"
	case volume.CreationTimestamp.Before(&claim.CreationTimestamp):
		return "it is older than the claim"
	case !namedAfter(volume.Name, string(claim.UID)):
		return "its name does not say that it was made for the claim"
	default:
		return ""
	}
}

// namedAfter reports whether a provisioner gives this name to the volume that it makes for the claim of that UID: a configured prefix and
// the UID, or as many of its digits as configured. A date proves nothing: volumes that people make can also be younger than the claim.
func namedAfter(volume, uid string) bool {
	const fewest = 8
	if uid == "" || strings.HasSuffix(volume, "-"+uid) {
		return uid != ""
	}
	last := volume[strings.LastIndex(volume, "-")+1:]
	return len(last) >= fewest && strings.HasPrefix(strings.ReplaceAll(uid, "-", ""), last)
}

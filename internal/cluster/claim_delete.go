package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// volumeGoneWithin bounds the wait for the volume behind a deleted temporary claim. The volume goes by itself.
	// Some drivers refuse to delete a VolumeSnapshot before that, and then report it and try again.
	volumeGoneWithin = 30 * time.Second
	// judgeAgain is how often to look at an object that keeps changing before leaving it alone.
	judgeAgain = 10
)

// DeleteTemporaryClaim deletes a temporary claim that CreateClaim made, with its volume, whatever the class's
// reclaim policy, and waits until both are gone. A claim that does not exist is no error; one that does not go
// is a *Leftover. Without the right to change the volume, the volume's fate follows its reclaim policy; the
// claim is deleted all the same, and the error names a volume that stays.
func (c *Client) DeleteTemporaryClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim, removing Removing) error {
	mine := func(current *corev1.PersistentVolumeClaim) bool { return current.UID == claim.UID }
	volume, stays, err := c.deleteTemporary(ctx, claim.Namespace, claim.Name, mine)
	if err != nil || volume == nil {
		return err
	}
	deadline := c.now().Add(removing.limit())
	view := c.claimsView(claim.Namespace).named(claim.Name)
	left, err := c.awaitClaims(ctx, view, mine, removing.limit(), removing.Waiting)
	if err := errors.Join(err, joined(left), stays); err != nil {
		return err
	}
	return c.awaitVolume(ctx, *volume, min(volumeGoneWithin, deadline.Sub(c.now())), removing.Waiting)
}

// deleteTemporary asks Kubernetes to remove a temporary claim, if mine accepts the claim in its present state.
// It returns the name of the claim's volume, which may be empty; nil if there was nothing to remove. The error
// stays says that the volume may stay.
func (c *Client) deleteTemporary(
	ctx context.Context,
	namespace, name string,
	mine func(*corev1.PersistentVolumeClaim) bool,
) (volume *string, stays, err error) {
	for range judgeAgain {
		claim, err := c.Claim(ctx, ClaimKey{namespace, name})
		if err != nil {
			return nil, nil, err
		}
		if claim == nil || !mine(claim) {
			return nil, nil, nil
		}
		denied := c.releaseVolume(ctx, claim)
		if errors.Is(denied, ErrChanged) {
			continue
		}
		if denied != nil && !apierrors.IsForbidden(denied) {
			return nil, nil, denied
		}
		if err = c.DeleteClaim(ctx, claim); errors.Is(err, ErrChanged) { // it may have got a volume
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if denied != nil {
			stays = fmt.Errorf(
				"temporary claim %s/%s is deleted, and its volume may stay: %w; delete that volume, and give the class the reclaim "+
					"policy Delete",
				namespace,
				name,
				denied,
			)
		}
		return &claim.Spec.VolumeName, stays, nil
	}
	return nil, nil, fmt.Errorf("delete temporary claim %[1]s/%[2]s: %[3]w: something keeps changing it; "+
		"\"kubectl -n %[1]s get pvc %[2]s -o yaml --show-managed-fields\" shows who: stop that", namespace, name, ErrChanged)
}

// awaitClaims waits for at most limit until the deleted temporary claims for which mine is true are gone.
func (c *Client) awaitClaims(ctx context.Context, view view[*corev1.PersistentVolumeClaim], mine func(*corev1.PersistentVolumeClaim) bool,
	limit time.Duration, waiting func(string),
) ([]*Leftover, error) {
	claims := leaving[*corev1.PersistentVolumeClaim]{client: c, view: view, mine: mine, why: c.claimLeftover, waiting: waiting}
	return claims.await(ctx, limit)
}

// claimLeftover describes a temporary claim that does not go.
func (c *Client) claimLeftover(ctx context.Context, claim *corev1.PersistentVolumeClaim) *Leftover {
	left := &Leftover{Object: "temporary claim " + claim.Namespace + "/" + claim.Name, Reason: whyHeld(claim)}
	if users := c.usersOf(ctx, claim.Namespace, claim.Name); len(users) > 0 {
		left.Reason = "it is used by " + strings.Join(users, ", ")
	}
	return left
}

// whyHeld says what keeps an object that no pod uses.
func whyHeld(object metav1.Object) string {
	switch {
	case object.GetDeletionTimestamp() == nil:
		return "it is not being deleted"
	case len(object.GetFinalizers()) > 0:
		return "it is deleted, and held by its finalizers " + strings.Join(object.GetFinalizers(), ", ")
	default:
		return "it is deleted, and still there"
	}
}

// awaitVolume waits for at most limit until the volume of a deleted temporary claim is gone, too. A volume that
// stays longer is no error: it goes by itself.
func (c *Client) awaitVolume(ctx context.Context, name string, limit time.Duration, waiting func(string)) error {
	if name == "" || limit <= 0 {
		return nil
	}
	volumes := c.Kube.CoreV1().PersistentVolumes()
	view := viewOf[*corev1.PersistentVolume]("volume "+name, metav1.ListOptions{}, volumes.List, volumes.Watch).named(name)
	gone := leaving[*corev1.PersistentVolume]{
		client: c, view: view, waiting: waiting, mine: func(*corev1.PersistentVolume) bool { return true },
		why: func(_ context.Context, volume *corev1.PersistentVolume) *Leftover {
			reason := whyHeld(volume)
			if volume.DeletionTimestamp == nil {
				reason = "its claim is deleted, and its driver has not removed it yet"
			}
			return &Leftover{Object: "volume " + volume.Name, Reason: reason}
		},
	}
	if _, err := gone.await(ctx, limit); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

// releaseVolume ensures that the volume of a temporary claim goes with the claim. The error wraps ErrChanged if
// the volume has changed since we looked at it.
func (c *Client) releaseVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.VolumeName == "" {
		return nil
	}
	volume, err := c.Volume(ctx, claim.Spec.VolumeName)
	if err != nil || volume == nil {
		return err
	}
	if !BoundTo(volume, claim) || !Provisioned(volume) || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return nil
	}
	_, err = c.patchVolume(ctx, volume.Name, map[string]any{
		"metadata": map[string]any{"uid": volume.UID, "resourceVersion": volume.ResourceVersion},
		"spec":     map[string]any{"persistentVolumeReclaimPolicy": corev1.PersistentVolumeReclaimDelete},
	})
	switch {
	case err == nil || apierrors.IsNotFound(err):
		return nil
	case apierrors.IsConflict(err):
		return fmt.Errorf(
			"set volume %s of temporary claim %s/%s to be deleted with it: %w",
			volume.Name,
			claim.Namespace,
			claim.Name,
			ErrChanged,
		)
	default:
		return fmt.Errorf("set volume %s of temporary claim %s/%s to be deleted with it: %w", volume.Name, claim.Namespace, claim.Name, err)
	}
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ErrChanged is wrapped by errors that say that an object has changed since we decided what to do with it.
var ErrChanged = errors.New("changed in the meantime")

// claimRemovals bounds how often we try to delete a claim that somebody changes between our reads.
const claimRemovals = 10

// Claim reads one claim; nil if there is none.
func (c *Client) Claim(ctx context.Context, key ClaimKey) (*corev1.PersistentVolumeClaim, error) {
	claim, err := c.Kube.CoreV1().PersistentVolumeClaims(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read claim %s/%s: %w", key.Namespace, key.Name, err)
	}
	return claim, nil
}

// Claims lists the claims of a namespace.
func (c *Client) Claims(ctx context.Context, namespace string) ([]corev1.PersistentVolumeClaim, error) {
	claims, err := c.Kube.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the claims of namespace %s: %w", namespace, err)
	}
	return claims.Items, nil
}

// Volume reads one PersistentVolume; nil if it does not exist, or if name is empty, as it is for a claim without a volume.
func (c *Client) Volume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	if name == "" {
		return nil, nil
	}
	volume, err := c.Kube.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read volume %s: %w", name, err)
	}
	return volume, nil
}

// DeleteClaim deletes the claim exactly as the caller read it: the error wraps ErrChanged if the claim has
// changed since, for instance because it got a volume. DeleteClaim does not wait until the claim is gone.
func (c *Client) DeleteClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	err := c.Kube.CoreV1().PersistentVolumeClaims(claim.Namespace).Delete(ctx, claim.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion},
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsConflict(err):
		return fmt.Errorf("delete claim %s/%s: %w", claim.Namespace, claim.Name, ErrChanged)
	case err != nil:
		return fmt.Errorf("delete claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// AwaitClaimGone waits until the claim of that uid is gone. After limit the error says which pods keep it.
func (c *Client) AwaitClaimGone(ctx context.Context, key ClaimKey, uid types.UID, limit time.Duration) error {
	why := func(ctx context.Context) string {
		users := c.usersOf(ctx, key.Namespace, key.Name)
		if len(users) == 0 {
			return fmt.Sprintf(
				"claim %s/%s is deleted and does not go; \"kubectl -n %s describe pvc %s\" shows its finalizers",
				key.Namespace,
				key.Name,
				key.Namespace,
				key.Name,
			)
		}
		return fmt.Sprintf(
			"claim %s/%s is deleted and cannot go, because it is used by %s; its volume and the data on it are kept; the claim goes when the pods "+
				"end",
			key.Namespace,
			key.Name,
			strings.Join(users, ", "),
		)
	}
	sayer := c.sayer(limit)
	return within(ctx, limit, func(ctx context.Context) error {
		return await(ctx, c.relist(), c.claimsView(key.Namespace).named(key.Name), func(claims []*corev1.PersistentVolumeClaim) (bool, error) {
			if !slices.ContainsFunc(claims, func(claim *corev1.PersistentVolumeClaim) bool { return claim.UID == uid }) {
				return true, nil
			}
			sayer.say(func() string { return why(ctx) })
			return false, nil
		})
	}, why)
}

func (c *Client) usersOf(ctx context.Context, namespace, claim string) []string {
	pods, err := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var users []string
	for i := range pods.Items {
		if Uses(&pods.Items[i], claim) {
			users = append(users, "pod "+pods.Items[i].Name)
		}
	}
	return users
}

// CreateFinalClaim creates one of the StatefulSet's own claims, without owners. Volumes that earlier versions
// set aside still name owners, and Kubernetes deletes a claim whose owner is gone as garbage, with its volume.
// If a quota still counts a claim that was just deleted, CreateFinalClaim waits until the quota has noticed.
func (c *Client) CreateFinalClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	claim = claim.DeepCopy()
	claim.OwnerReferences = nil
	var created *corev1.PersistentVolumeClaim
	err := c.whenRoom(ctx, nil, func() (err error) {
		created, err = c.Kube.CoreV1().PersistentVolumeClaims(claim.Namespace).Create(ctx, claim, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return created, nil
}

// AwaitBound waits until the claim is bound to the named volume.
func (c *Client) AwaitBound(ctx context.Context, key ClaimKey, volume string, limit time.Duration) error {
	last := "it does not exist"
	why := func(context.Context) string {
		return fmt.Sprintf(
			"claim %s/%s does not bind to volume %s: %s; \"kubectl -n %s describe pvc %s\" says why",
			key.Namespace,
			key.Name,
			volume,
			last,
			key.Namespace,
			key.Name,
		)
	}
	sayer := c.sayer(limit)
	return within(ctx, limit, func(ctx context.Context) error {
		return await(ctx, c.relist(), c.claimsView(key.Namespace).named(key.Name), func(claims []*corev1.PersistentVolumeClaim) (bool, error) {
			if len(claims) > 0 {
				last = fmt.Sprintf("it is %s", claims[0].Status.Phase)
				if claims[0].DeletionTimestamp != nil {
					return false, fmt.Errorf("claim %s/%s was deleted while it was bound to volume %s: %w", key.Namespace, key.Name, volume, ErrChanged)
				}
				if claims[0].Status.Phase == corev1.ClaimBound && claims[0].Spec.VolumeName == volume {
					return true, nil
				}
			}
			sayer.say(func() string { return why(ctx) })
			return false, nil
		})
	}, why)
}

// SetAside deletes a claim, and keeps its volume, which must be bound to the claim, marked (see MarkDisplaced).
// It waits until the claim is gone. The error wraps ErrChanged if the claim is no longer the one that the
// caller read. With volume == nil the claim has no volume, and SetAside only deletes the claim.
func (c *Client) SetAside(ctx context.Context, op Operation, claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume,
	why string, at time.Time, limit time.Duration,
) (Displaced, error) {
	d := NewDisplaced(claim, volume)
	if volume != nil {
		if err := c.MarkDisplaced(ctx, op, d, why, at); err != nil {
			return d, err
		}
	}
	if err := c.LetClaimGo(ctx, d); err != nil {
		return d, err
	}
	return d, c.AwaitClaimGone(ctx, ClaimKeyOf(claim), claim.UID, limit)
}

// LetClaimGo deletes the displaced claim, if the claim is still as it was found and its volume will be kept.
// Otherwise the error wraps ErrChanged.
func (c *Client) LetClaimGo(ctx context.Context, d Displaced) error {
	var err error
	for range claimRemovals {
		claim, readErr := c.Claim(ctx, ClaimKeyOf(d.Claim))
		if readErr != nil {
			return readErr
		}
		if claim == nil {
			return nil
		}
		if claim.UID != d.UID || claim.Spec.VolumeName != d.Claim.Spec.VolumeName {
			return fmt.Errorf("claim %s/%s got another volume: %w", claim.Namespace, claim.Name, ErrChanged)
		}
		if err := c.volumeOutlives(ctx, claim, d); err != nil {
			return err
		}
		if err = c.DeleteClaim(ctx, claim); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
}

// volumeOutlives checks, right before a claim is deleted, that the claim's volume will be kept whatever happens to the
// claim, or that there is none.
func (c *Client) volumeOutlives(ctx context.Context, claim *corev1.PersistentVolumeClaim, d Displaced) error {
	volume, err := c.Volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	switch {
	case volume == nil:
		return nil
	case d.Volume == "" && (BoundTo(volume, claim) || Binding(volume, claim)):
		return fmt.Errorf("claim %s/%s has got volume %s: %w", claim.Namespace, claim.Name, volume.Name, ErrChanged)
	case d.Volume == "":
		return nil
	case volume.UID != d.VolumeUID || volume.DeletionTimestamp != nil:
		return fmt.Errorf("volume %s of claim %s/%s is another, or being deleted: %w", volume.Name, claim.Namespace, claim.Name, ErrChanged)
	case volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain:
		return fmt.Errorf("volume %s of claim %s/%s would be deleted with the claim, since somebody has set its reclaim policy back to %s: %w",
			volume.Name, claim.Namespace, claim.Name, volume.Spec.PersistentVolumeReclaimPolicy, ErrChanged)
	}
	return nil
}

// FreeVolume gives up a volume that was set aside, with the data on it, if a provisioner made it. The caller has proved that nobody has
// written to it. FreeVolume leaves a volume alone that a claim holds, or that is not as it was set aside: the error wraps ErrChanged.
func (c *Client) FreeVolume(ctx context.Context, d Displaced) error {
	var err error
	for range claimRemovals { // the volume's controller writes to it when its claim is gone
		if err = c.freeVolume(ctx, d); !apierrors.IsConflict(err) {
			return err
		}
	}
	return fmt.Errorf("free volume %[1]s: %[2]w: %[3]w: something keeps changing it; "+
		"\"kubectl get pv %[1]s -o yaml --show-managed-fields\" shows who: stop that, then run the command again", d.Volume, ErrChanged, err)
}

// freeVolume reads the volume, and frees exactly the version that it has read.
func (c *Client) freeVolume(ctx context.Context, d Displaced) error {
	volume, err := c.Volume(ctx, d.Volume)
	if err != nil || volume == nil || volume.UID != d.VolumeUID || !Provisioned(volume) {
		return err
	}
	if ref := volume.Spec.ClaimRef; ref == nil || ref.UID != d.UID {
		return fmt.Errorf("free volume %s: %w", d.Volume, ErrChanged)
	}
	user, err := c.Claim(ctx, ClaimKeyOf(d.Claim))
	if err != nil {
		return err
	}
	if user != nil && user.UID == d.UID {
		return fmt.Errorf("free volume %s: claim %s/%s still uses it: %w", d.Volume, user.Namespace, user.Name, ErrChanged)
	}
	_, err = c.patchVolume(ctx, d.Volume, map[string]any{
		"metadata": map[string]any{"uid": volume.UID, "resourceVersion": volume.ResourceVersion},
		"spec":     map[string]any{"persistentVolumeReclaimPolicy": corev1.PersistentVolumeReclaimDelete},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("free volume %s: %w", d.Volume, err)
	}
	return nil
}

func (c *Client) claimsView(namespace string) view[*corev1.PersistentVolumeClaim] {
	claims := c.Kube.CoreV1().PersistentVolumeClaims(namespace)
	return viewOf[*corev1.PersistentVolumeClaim]("claims in "+namespace, metav1.ListOptions{}, claims.List, claims.Watch)
}

const (
	// sayAfter is when a wait first says what it waits for, sayEvery the pause until it says so again.
	sayAfter = 10 * time.Second
	sayEvery = time.Minute
)

// sayer makes a wait say what it waits for, and for how long at most if that is known. Only one goroutine may use it.
type sayer struct {
	client *Client
	next   time.Time
	limit  time.Duration
}

func (c *Client) sayer(limit time.Duration) *sayer {
	return &sayer{client: c, next: c.now().Add(sayAfter), limit: limit}
}

// say is called with each look at what the caller waits for, and passes on reason when it is time.
func (s *sayer) say(reason func() string) {
	if now := s.client.now(); s.client.Waiting != nil && !now.Before(s.next) {
		s.next = now.Add(sayEvery)
		limit := ""
		if s.limit > 0 {
			limit = fmt.Sprintf(" (for up to %s)", s.limit)
		}
		s.client.Waiting(fmt.Sprintf("waiting%s: %s", limit, reason()))
	}
}

// within runs wait for at most limit, as WithLimit counts. After limit, the error is what reason says at that moment.
func within(ctx context.Context, limit time.Duration, wait func(context.Context) error, reason func(context.Context) string) error {
	limited, cancel := WithLimit(ctx, limit)
	defer cancel()
	err := wait(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s (waited %s)", reason(ctx), limit)
	}
	return err
}

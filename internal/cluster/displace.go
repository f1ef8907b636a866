package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// Marks of a volume that a restore has set aside. They are on the PersistentVolume, whose claim is gone.
const (
	// LabelDisplacedFrom is the claim's name; it serves to list displaced volumes.
	LabelDisplacedFrom = "stsbackup.io/displaced-from"
	// AnnotationDisplacedFrom is the claim as namespace/name.
	AnnotationDisplacedFrom = "stsbackup.io/displaced-from"
	// AnnotationDisplacedClaim is the claim's manifest, as JSON: it contains what is needed to bind the volume again.
	AnnotationDisplacedClaim = "stsbackup.io/displaced-claim"
	// AnnotationDisplacedPolicy is the volume's earlier reclaim policy.
	AnnotationDisplacedPolicy = "stsbackup.io/displaced-reclaim-policy"
	// AnnotationDisplacedBy is the operation that set the volume aside, AnnotationDisplacedAt the time.
	AnnotationDisplacedBy = "stsbackup.io/displaced-by"
	AnnotationDisplacedAt = "stsbackup.io/displaced-at"
	// AnnotationDisplacedWhy is the reason: one of the Why… values.
	AnnotationDisplacedWhy = "stsbackup.io/displaced-why"
)

// Values of AnnotationDisplacedWhy.
const (
	WhyReplaced   = "replaced"   // a restore put another volume in its place
	WhyUndone     = "undone"     // an undo put another volume in its place
	WhyIncomplete = "incomplete" // a restore made it and did not complete it; pods may have written to it since
)

// Annotations that Kubernetes puts on claims and volumes.
const (
	annotationBindCompleted = "pv.kubernetes.io/bind-completed"
	annotationProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// annotationBoundByController is on volumes that the binder chose among existing ones.
	annotationBoundByController = "pv.kubernetes.io/bound-by-controller"
)

// Displaced is what is needed to put a claim back after it was set aside.
type Displaced struct {
	// Claim is the claim's manifest, as we create it again.
	Claim *corev1.PersistentVolumeClaim `json:"claim"`
	// UID is the UID of the claim as we found it; the claim that we create again has another.
	UID types.UID `json:"uid"`
	// Volume and VolumeUID name the claim's PersistentVolume; empty if the claim had none or had lost it.
	Volume    string    `json:"volume,omitempty"`
	VolumeUID types.UID `json:"volumeUID,omitempty"`
	// ReclaimPolicy is the volume's reclaim policy, as we found it.
	ReclaimPolicy corev1.PersistentVolumeReclaimPolicy `json:"reclaimPolicy,omitempty"`
	// VolumeManagedBy is the volume's managed-by label, which the marks of a displaced volume replace.
	VolumeManagedBy string `json:"volumeManagedBy,omitempty"`
}

// NewDisplaced describes a claim and the volume that is bound to it; volume is nil if none is.
func NewDisplaced(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) Displaced {
	again := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name: claim.Name, Namespace: claim.Namespace,
			Labels: maps.Clone(claim.Labels), Annotations: maps.Clone(claim.Annotations),
			// No owners: if an owner is gone by then, Kubernetes deletes the claim as garbage, and the volume with it.
			// The StatefulSet's controller sets its own owner references again.
		},
		Spec: *claim.Spec.DeepCopy(),
	}
	again.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim")) // so that kubectl can create it
	d := Displaced{Claim: again, UID: claim.UID}
	delete(again.Annotations, "kubectl.kubernetes.io/last-applied-configuration")
	if volume != nil {
		d.Volume, d.VolumeUID, d.ReclaimPolicy = volume.Name, volume.UID, volume.Spec.PersistentVolumeReclaimPolicy
		d.VolumeManagedBy = volume.Labels[LabelManagedBy]
	}
	if volume != nil || claim.Spec.VolumeName == "" {
		// With these marks, a claim that is not yet bound would count as a claim that has lost its volume. Without them,
		// it binds to the volume that it names. A Lost claim keeps the marks, so that it becomes again what it was.
		maps.DeleteFunc(again.Annotations, func(key, _ string) bool {
			return strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.kubernetes.io/") ||
				strings.HasPrefix(key, "volume.beta.kubernetes.io/storage-provisioner")
		})
	}
	return d
}

// BoundTo reports whether the claim and the volume are bound to each other.
func BoundTo(volume *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	return volume != nil && claim.Spec.VolumeName == volume.Name &&
		volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.UID == claim.UID
}

// Binding reports whether the claim names the volume, and the volume is free for the claim but not yet bound to it.
func Binding(volume *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	if volume == nil || claim.Spec.VolumeName != volume.Name {
		return false
	}
	ref := volume.Spec.ClaimRef
	return ref == nil || ref.UID == "" && refersTo(ref, claim)
}

// refersTo reports whether a volume's reference is to a claim of this name, whatever its UID.
func refersTo(ref *corev1.ObjectReference, claim *corev1.PersistentVolumeClaim) bool {
	return ref != nil && ref.Namespace == claim.Namespace && ref.Name == claim.Name
}

// Provisioned reports whether a provisioner made the volume, so that the reclaim policy Delete removes it.
func Provisioned(volume *corev1.PersistentVolume) bool {
	return volume.Annotations[annotationProvisionedBy] != ""
}

// FreeCommand is the command that gives up the data on a volume that no claim holds. A provisioned volume is
// deleted; any other becomes Available again, with the data still on it.
func FreeCommand(volume *corev1.PersistentVolume) string {
	if Provisioned(volume) {
		return fmt.Sprintf(`kubectl patch pv %s -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'`, volume.Name)
	}
	marks := ""
	if volume.Labels[LabelDisplacedFrom] != "" {
		marks = fmt.Sprintf(`"metadata":{"labels":{%q:null,%q:null}},`, LabelDisplacedFrom, LabelManagedBy)
	}
	return fmt.Sprintf(`kubectl patch pv %s -p '{%s"spec":{"claimRef":null}}'`, volume.Name, marks)
}

// MarkDisplaced makes the displaced claim's volume outlive the claim, labels the volume, and saves in it what
// is needed to bind it again. why is one of the Why… values.
func (c *Client) MarkDisplaced(ctx context.Context, op Operation, d Displaced, why string, at time.Time) error {
	manifest, err := json.Marshal(d.Claim)
	if err != nil {
		return fmt.Errorf("encode claim %s: %w", d.Claim.Name, err)
	}
	keep := corev1.PersistentVolumeReclaimRetain
	volume, err := c.patchVolume(ctx, d.Volume, map[string]any{
		"metadata": map[string]any{
			"uid": d.VolumeUID,
			"labels": map[string]any{
				LabelManagedBy:     ManagedBy,
				LabelStatefulSet:   LabelValue(op.StatefulSet),
				LabelDisplacedFrom: LabelValue(d.Claim.Name),
			},
			"annotations": map[string]any{
				AnnotationStatefulSet:     op.StatefulSet,
				AnnotationDisplacedFrom:   d.Claim.Namespace + "/" + d.Claim.Name,
				AnnotationDisplacedClaim:  string(manifest),
				AnnotationDisplacedPolicy: string(d.ReclaimPolicy),
				AnnotationDisplacedBy:     op.ID,
				AnnotationDisplacedAt:     at.UTC().Format(time.RFC3339),
				AnnotationDisplacedWhy:    why,
			},
		},
		"spec": map[string]any{"persistentVolumeReclaimPolicy": keep},
	})
	if err != nil {
		return fmt.Errorf("keep volume %s of claim %s/%s, and mark it as set aside: %w", d.Volume, d.Claim.Namespace, d.Claim.Name, err)
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != keep {
		return fmt.Errorf("set the reclaim policy of volume %s to %s: it stays %s; does something else manage it?", d.Volume, keep, got)
	}
	return nil
}

// ParseDisplaced reads from a volume that was set aside what is needed to bind it again. It does not trust the
// marks: the claim manifest in them must be of the claim that they name, and of the namespace.
func ParseDisplaced(volume *corev1.PersistentVolume, namespace string) (Displaced, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := json.Unmarshal([]byte(volume.Annotations[AnnotationDisplacedClaim]), claim); err != nil {
		return Displaced{}, fmt.Errorf("read the claim of volume %s, annotation %s: %w", volume.Name, AnnotationDisplacedClaim, err)
	}
	policy := corev1.PersistentVolumeReclaimPolicy(volume.Annotations[AnnotationDisplacedPolicy])
	switch {
	case claim.Namespace != namespace || claim.Namespace+"/"+claim.Name != volume.Annotations[AnnotationDisplacedFrom]:
		return Displaced{}, fmt.Errorf(
			"volume %s says that it was set aside from claim %q, and holds the manifest of claim %q: somebody has changed its annotations",
			volume.Name,
			volume.Annotations[AnnotationDisplacedFrom],
			claim.Namespace+"/"+claim.Name,
		)
	case !refersTo(volume.Spec.ClaimRef, claim):
		return Displaced{}, fmt.Errorf(
			"volume %s, which was set aside from claim %s/%s, has become another's",
			volume.Name,
			claim.Namespace,
			claim.Name,
		)
	case claim.Spec.VolumeName != volume.Name:
		return Displaced{}, fmt.Errorf(
			"volume %s holds the manifest of a claim on volume %q: somebody has changed its annotations",
			volume.Name,
			claim.Spec.VolumeName,
		)
	case policy != corev1.PersistentVolumeReclaimDelete && policy != corev1.PersistentVolumeReclaimRecycle:
		policy = corev1.PersistentVolumeReclaimRetain
	}
	return Displaced{Claim: claim, UID: volume.Spec.ClaimRef.UID, Volume: volume.Name, VolumeUID: volume.UID, ReclaimPolicy: policy}, nil
}

// RebindVolume reserves the displaced volume for a new claim of the same name, and for no other claim. The
// error wraps ErrNotFound if the volume no longer exists.
func (c *Client) RebindVolume(ctx context.Context, d Displaced) error {
	// The binder writes to volumes at the same time.
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.rebindVolume(ctx, d) })
}

func (c *Client) rebindVolume(ctx context.Context, d Displaced) error {
	volume, err := c.Volume(ctx, d.Volume)
	if err != nil {
		return err
	}
	if volume == nil || volume.UID != d.VolumeUID {
		return fmt.Errorf("volume %s, which was set aside from claim %s: %w", d.Volume, d.Claim.Name, ErrNotFound)
	}
	ref := volume.Spec.ClaimRef
	switch {
	case ref != nil && !refersTo(ref, d.Claim):
		return fmt.Errorf("volume %s, which was set aside from claim %s, has become another's", d.Volume, d.Claim.Name)
	case ref != nil && ref.UID == "":
		return nil
	}
	_, err = c.patchVolume(ctx, d.Volume, map[string]any{
		"metadata": map[string]any{"uid": d.VolumeUID, "resourceVersion": volume.ResourceVersion},
		"spec": map[string]any{"claimRef": map[string]any{
			"apiVersion": "v1", "kind": "PersistentVolumeClaim",
			"namespace": d.Claim.Namespace, "name": d.Claim.Name, "uid": nil, "resourceVersion": nil,
		}},
	})
	if err != nil {
		return fmt.Errorf("reserve volume %s for claim %s: %w", d.Volume, d.Claim.Name, err)
	}
	return nil
}

// UnmarkDisplaced gives the volume its earlier reclaim policy back and removes the marks, because a claim holds
// the volume again. If no claim of that name is bound to the volume, or that claim is being deleted, the volume
// stays marked and kept: its reclaim policy could delete it.
func (c *Client) UnmarkDisplaced(ctx context.Context, d Displaced) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.unmarkDisplaced(ctx, d) })
}

func (c *Client) unmarkDisplaced(ctx context.Context, d Displaced) error {
	present, err := c.Volume(ctx, d.Volume)
	if err != nil {
		return err
	}
	if present == nil || present.UID != d.VolumeUID || present.DeletionTimestamp != nil || !refersTo(present.Spec.ClaimRef, d.Claim) {
		return nil
	}
	claim, err := c.Claim(ctx, ClaimKeyOf(d.Claim))
	if err != nil {
		return err
	}
	if claim == nil || claim.DeletionTimestamp != nil || !BoundTo(present, claim) {
		return nil
	}
	patch := unmarked(present, d)
	patch["spec"] = map[string]any{"persistentVolumeReclaimPolicy": d.ReclaimPolicy}
	volume, err := c.patchVolume(ctx, d.Volume, patch)
	if err != nil {
		return fmt.Errorf("give volume %s its reclaim policy %s back: %w", d.Volume, d.ReclaimPolicy, err)
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != d.ReclaimPolicy {
		return fmt.Errorf("give volume %s its reclaim policy %s back: it stays %s", d.Volume, d.ReclaimPolicy, got)
	}
	return nil
}

// unmarked is a patch that removes the marks from a volume, exactly as we read it.
func unmarked(volume *corev1.PersistentVolume, d Displaced) map[string]any {
	var managedBy any // null removes the label
	if d.VolumeManagedBy != "" {
		managedBy = d.VolumeManagedBy
	}
	return map[string]any{"metadata": map[string]any{
		"uid": volume.UID, "resourceVersion": volume.ResourceVersion,
		"labels": map[string]any{LabelManagedBy: managedBy, LabelStatefulSet: nil, LabelDisplacedFrom: nil},
		"annotations": map[string]any{
			AnnotationStatefulSet: nil, AnnotationDisplacedFrom: nil, AnnotationDisplacedClaim: nil, AnnotationDisplacedPolicy: nil,
			AnnotationDisplacedBy: nil, AnnotationDisplacedAt: nil, AnnotationDisplacedWhy: nil,
		},
	}}
}

// patchVolume applies a merge patch. A uid in the patch makes the server refuse if another volume has that name by now.
func (c *Client) patchVolume(ctx context.Context, name string, patch map[string]any) (*corev1.PersistentVolume, error) {
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	return c.Kube.CoreV1().PersistentVolumes().Patch(ctx, name, types.MergePatchType, data, metav1.PatchOptions{})
}

package restore

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// releaseSpare makes a volume that people made Available again after somebody has deleted its claim. If pods
// may have written to the volume, releaseSpare sets it aside instead.
func (x *run) releaseSpare(ctx context.Context, v *JournalVolume) error {
	if v.Spare == "" {
		return nil
	}
	why, err := x.whyUnproved(ctx, v, goneClaim(v))
	if err != nil {
		return err
	}
	if why == "" {
		return x.Cluster.ReleaseSpare(ctx, v.Spare, x.op.Claim(v.Claim), v.SpareReserved)
	}
	kept, err := x.Cluster.KeepSpare(ctx, x.op, v.Spare, v.Claim, cluster.ClaimLabels(x.sts, v.Template), x.Now())
	if kept && err == nil {
		x.Reporter.Note(fmt.Sprintf("somebody has deleted claim %s; its volume %s is set aside and kept: %s", v.Claim, v.Spare, why))
	}
	return err
}

// releaseSpares calls releaseSpare for all volumes, before the journal forgets their spares.
func (x *run) releaseSpares(ctx context.Context) error {
	for i := range x.journal.Volumes {
		if err := x.releaseSpare(ctx, &x.journal.Volumes[i]); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes what is under a claim's name. The volume goes with it only with a proof that the volume was made for
// the claim, and that nothing but this restore has written to it. remove checks that before the claim goes, and again
// after, when nobody can begin to use the volume. Without the proof, it sets the volume aside, and returns its name.
func (x *run) remove(ctx context.Context, v *JournalVolume, live *corev1.PersistentVolumeClaim) (kept string, err error) {
	volume, err := x.Cluster.Volume(ctx, live.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	if live.Spec.VolumeName != "" && cluster.Binding(volume, live) {
		return "", fmt.Errorf("claim %s/%s is being bound to volume %s: %w", x.op.Namespace, v.Claim, live.Spec.VolumeName, cluster.ErrChanged)
	}
	if !cluster.BoundTo(volume, live) {
		volume = nil
	}
	if v.Brings != nil && v.known(volume) == v.Brings && x.journal.created(v, live) {
		return "", x.takeAgain(ctx, v, live) // it is set aside again, with the marks that it still has
	}
	if known := v.known(volume); known != nil {
		return "", x.setAsideAgain(ctx, v, known, cluster.NewDisplaced(live, volume))
	}
	why, err := x.whyNotRemoved(ctx, v, live, volume)
	if err != nil {
		return "", err
	}
	spare := volume != nil && volume.Name == v.Spare
	if why == "" && spare && v.Filled {
		x.takeBack(ctx, v)
	}
	d, err := x.Cluster.SetAside(ctx, x.op, live, volume, cluster.WhyIncomplete, x.Now(), x.limits.Claim)
	if err != nil || volume == nil {
		return "", err
	}
	if why == "" {
		if why, err = x.whyNotRemoved(ctx, v, live, volume); err != nil {
			return "", err
		}
	}
	switch {
	case why == "" && spare:
		return "", x.Cluster.GiveBackSpare(ctx, d, v.SpareReserved)
	case why == "":
		return "", x.Cluster.FreeVolume(ctx, d)
	}
	x.Reporter.Note(fmt.Sprintf("volume %s of claim %s is set aside and kept: %s", volume.Name, v.Claim, why))
	return volume.Name, nil
}

// whyNotRemoved says why a claim's volume must be kept, judging by what exists at this moment, or "" if it may
// go. Pods that use the claim are an error: deleting the claim would pull it from under them.
func (x *run) whyNotRemoved(
	ctx context.Context,
	v *JournalVolume,
	live *corev1.PersistentVolumeClaim,
	volume *corev1.PersistentVolume,
) (string, error) {
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return "", err
	}
	if users := cluster.RunningOn(pods, v.Claim); users != "" {
		return "", fmt.Errorf("claim %s/%s cannot be set aside, because %s uses it: %w", x.op.Namespace, v.Claim, users, errOthersRun)
	}
	if !x.journal.created(v, live) {
		return "somebody else has made the claim", nil
	}
	why, err := x.whyUnproved(ctx, v, live)
	if why == "" && err == nil && volume != nil && volume.Name != v.Spare {
		why = x.journal.found(volume, live)
	}
	return why, err
}

// whyUnproved is Journal.unproved, judging by what exists at this moment.
func (x *run) whyUnproved(ctx context.Context, v *JournalVolume, live *corev1.PersistentVolumeClaim) (string, error) {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return "", err
	}
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return "", err
	}
	return x.journal.unproved(v, sts, pods, live), nil
}

// takeAgain takes a volume that an undo has bound again away from its claim.
func (x *run) takeAgain(ctx context.Context, v *JournalVolume, live *corev1.PersistentVolumeClaim) error {
	volume, err := x.Cluster.Volume(ctx, v.Brings.Volume)
	if err != nil {
		return err
	}
	if volume != nil &&
		(volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain || volume.Labels[cluster.LabelDisplacedFrom] == "") {
		op := cluster.Operation{ID: x.journal.RecoveryPoint, StatefulSet: x.op.StatefulSet}
		if err := x.Cluster.MarkDisplaced(ctx, op, *v.Brings, cluster.WhyReplaced, x.journal.Started); err != nil {
			return err
		}
	}
	if err := x.Cluster.LetClaimGo(ctx, cluster.NewDisplaced(live, volume)); err != nil {
		return err
	}
	return x.Cluster.AwaitClaimGone(ctx, x.op.Claim(v.Claim), live.UID, x.limits.Claim)
}

// takeBack empties a volume that people made and that the restore has filled, so that the next restore can use
// it. If takeBack fails, the next restore will say that the volume is not empty.
func (x *run) takeBack(ctx context.Context, v *JournalVolume) {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err == nil {
		err = x.Filler.TakeBack(ctx, x.target(sts), *v)
	}
	if err != nil {
		x.Reporter.Note(fmt.Sprintf("volume %s still holds what was restored; empty it before it can be used again: %v", v.Spare, err))
	}
}

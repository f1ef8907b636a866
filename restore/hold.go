package restore

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// hold keeps every pod of the StatefulSet from running until the restore is done. It scales the StatefulSet to
// 0, and pods that anybody makes it create meanwhile wait.
func (x *run) hold(ctx context.Context) error {
	if x.journal.Phase == PhaseGuard {
		if err := x.enter(ctx, PhaseDown); err != nil {
			return err
		}
	}
	if x.plan.Way == WayResume && x.sts.UID != x.journal.UID {
		if err := x.adopt(ctx); err != nil {
			return err
		}
	}
	if cluster.Replicas(x.sts) > 0 {
		x.Reporter.Note(fmt.Sprintf("scaling %s/%s from %d to 0 replicas", x.op.Namespace, x.op.StatefulSet, cluster.Replicas(x.sts)))
	}
	x.down = x.Now()
	if err := x.holdJournal(ctx); err != nil || x.plan.Way != WayResume {
		return err
	}
	return x.releaseSpares(ctx)
}

// adopt makes a StatefulSet that was created anew the journal's StatefulSet. It enters the new one's settings before scaling it
// down, because nothing else would remember them. Nothing proves any more that no pod has written to what the restore made before.
func (x *run) adopt(ctx context.Context) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	j := x.journal
	j.UID, j.Held = x.sts.UID, 0
	j.Replicas, j.ReplicasAfter, j.Retention = cluster.Replicas(x.sts), x.plan.ReplicasAfter, retention(x.sts)
	for i := range j.Volumes {
		if state := j.Volumes[i].State; state == StateMade || state == StateFilled || state == StateChecked {
			j.Volumes[i].State = StateHandedOver
		}
	}
	return j.write(ctx, x.Cluster, x.op)
}

// holdJournal holds the journal's StatefulSet, and enters at which generation it is held. From then on, a
// volume to which somebody may have written before counts as data, and not as debris.
func (x *run) holdJournal(ctx context.Context) error {
	if err := x.keepGoing(ctx); err != nil {
		return err
	}
	held, err := x.Cluster.Hold(ctx, x.op.Key(), x.journal.UID)
	if err != nil {
		return err
	}
	x.Cluster.TellHeld(ctx, x.op, held)
	if held, err = x.Cluster.AwaitHeld(ctx, held, x.limits.Down); err != nil {
		return err
	}
	pods, err := x.noneRuns(ctx, held)
	if err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		live, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
		if err != nil {
			return err
		}
		if v.Brings == nil && x.madeBefore(v, live) && x.journal.unproved(v, held, pods, cmp.Or(live, goneClaim(v))) != "" {
			v.State = StateHandedOver
		}
	}
	x.journal.Held = held.Generation
	return x.journal.write(ctx, x.Cluster, x.op)
}

// madeBefore reports whether the journal's operation made the claim, or may have made it without an entry. If
// the claim is gone, live is nil: then it reports whether the claim may have left a volume behind.
func (x *run) madeBefore(v *JournalVolume, live *corev1.PersistentVolumeClaim) bool {
	if live == nil {
		return v.Made != "" || v.Spare != "" && v.State == StateAside
	}
	return x.journal.created(v, live)
}

// goneClaim stands for a claim that the journal's operation made, and that is gone.
func goneClaim(v *JournalVolume) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: v.Claim, UID: v.Made}}
}

// keepGoing saves the volume of each claim of the StatefulSet that somebody has deleted and only a pod still keeps:
// when the pod ends, the claim goes, and would take the volume with it.
func (x *run) keepGoing(ctx context.Context) error {
	claims, err := x.Cluster.Claims(ctx, x.op.Namespace)
	if err != nil {
		return err
	}
	for i := range claims {
		claim := &claims[i]
		if _, _, ours := ordinalOf(x.sts, claim.Name); !ours || claim.DeletionTimestamp == nil {
			continue
		}
		volume, err := x.Cluster.Volume(ctx, claim.Spec.VolumeName)
		if err != nil {
			return err
		}
		if !cluster.BoundTo(volume, claim) || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain {
			continue
		}
		x.Reporter.Note(fmt.Sprintf("somebody has deleted claim %s; its volume %s is kept", claim.Name, volume.Name))
		if err := x.Cluster.MarkDisplaced(ctx, x.op, cluster.NewDisplaced(claim, volume), cluster.WhyReplaced, x.Now()); err != nil {
			return err
		}
	}
	return nil
}

// scaleToZero stops the controller from making more claims: somebody has scaled the StatefulSet up while it was held.
func (x *run) scaleToZero(ctx context.Context) error {
	sts, err := x.Cluster.ScaleToZero(ctx, x.op.Key(), x.journal.UID)
	if err != nil {
		return err
	}
	return x.Cluster.AwaitNoPods(ctx, sts, x.limits.Down)
}

// stillHeld checks again that the StatefulSet is held, and that none of its pods runs. If somebody has scaled
// it, the new pods wait, and the restore goes on.
func (x *run) stillHeld(ctx context.Context) error {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	_, err = x.noneRuns(ctx, sts)
	return err
}

// noneRuns fails unless the StatefulSet is the journal's, is held, and has no pod that may run. It returns all
// pods of the namespace.
func (x *run) noneRuns(ctx context.Context, sts *appsv1.StatefulSet) ([]corev1.Pod, error) {
	if sts.UID != x.journal.UID {
		return nil, fmt.Errorf("somebody has made %s anew in the middle of the restore: %w", x.op.Object(), cluster.ErrChanged)
	}
	if !cluster.Gated(&sts.Spec.Template.Spec) {
		scaled := ""
		if replicas := cluster.Replicas(sts); replicas > 0 {
			scaled = fmt.Sprintf(", and has scaled it to %d replicas", replicas)
		}
		return nil, fmt.Errorf(
			"somebody has set back the pod template of %s in the middle of the restore, so that its pods no longer wait for the end%s (a GitOps "+
				"tool or an operator?): %w",
			x.op.Object(),
			scaled,
			cluster.ErrChanged,
		)
	}
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return nil, err
	}
	if names := running(sts, pods); len(names) > 0 {
		return nil, fmt.Errorf("%s of %s runs in the middle of the restore: %w", strings.Join(names, ", "), x.op.Object(), cluster.ErrChanged)
	}
	return pods, nil
}

// setAside deletes the present claims and keeps their volumes. It sets aside whatever else is under the claims'
// names, too, unless this restore has made it and nobody has written to it since.
func (x *run) setAside(ctx context.Context) error {
	if err := x.stillHeld(ctx); err != nil {
		return err
	}
	for i := range x.journal.Volumes {
		if err := x.refresh(ctx, &x.journal.Volumes[i]); err != nil {
			return err
		}
	}
	if err := x.enter(ctx, PhaseAside); err != nil {
		return err
	}
	// All volumes first: no claim may go before every volume is safe.
	if err := x.keepVolumes(ctx); err != nil {
		return err
	}
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		if v.State == StatePresent && v.Displaced != nil && v.Displaced.Volume != "" {
			x.Reporter.Note(fmt.Sprintf("setting volume %s of claim %s aside", v.Displaced.Volume, v.Claim))
		}
		if err := x.clear(ctx, v); err != nil {
			return err
		}
		if v.State == StatePresent {
			v.State = StateAside
		}
	}
	return x.enter(ctx, PhaseAside)
}

// refresh updates the journal for a claim that got a volume, or was created, while there were still pods.
func (x *run) refresh(ctx context.Context, v *JournalVolume) error {
	if v.State != StatePresent {
		return nil
	}
	claim, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil {
		return err
	}
	if x.plan.Way == WayResume && (claim == nil || v.Displaced == nil || claim.UID != v.Displaced.UID) || claim == nil && v.Displaced == nil {
		return nil // clear deals with what is there
	}
	if claim == nil || claim.DeletionTimestamp != nil || v.Displaced != nil && claim.UID != v.Displaced.UID {
		return fmt.Errorf("claim %s/%s is no longer the one that the plan was made for: %w", x.op.Namespace, v.Claim, cluster.ErrChanged)
	}
	if v.Displaced != nil && claim.Spec.VolumeName == v.Displaced.Claim.Spec.VolumeName {
		return nil
	}
	volume, err := x.Cluster.Volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if claim.Spec.VolumeName != "" && !cluster.BoundTo(volume, claim) {
		return fmt.Errorf("claim %s/%s is being bound to volume %s: %w", x.op.Namespace, v.Claim, claim.Spec.VolumeName, cluster.ErrChanged)
	}
	displaced := cluster.NewDisplaced(claim, volume)
	v.Displaced = &displaced
	return nil
}

// clear frees the name of a claim, whatever is under it. The displaced claim goes, and its volume stays. A
// claim that this operation made stays, if nobody can have written to it. clear sets all others aside.
func (x *run) clear(ctx context.Context, v *JournalVolume) error {
	live, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil || live == nil {
		return err
	}
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return err
	}
	if users := cluster.RunningOn(pods, v.Claim); users != "" {
		return fmt.Errorf("claim %s/%s cannot be set aside, because %s uses it: %w", x.op.Namespace, v.Claim, users, cluster.ErrChanged)
	}
	if v.Displaced != nil && live.UID == v.Displaced.UID {
		if err := x.keptNow(ctx, v); err != nil {
			return err
		}
		if err := x.Cluster.LetClaimGo(ctx, *v.Displaced); err != nil {
			return err
		}
		return x.Cluster.AwaitClaimGone(ctx, x.op.Claim(v.Claim), v.Displaced.UID, x.limits.Claim)
	}
	if !x.journal.created(v, live) || live.DeletionTimestamp != nil {
		return x.setAsideOther(ctx, v, live)
	}
	switch {
	case v.Brings != nil, v.State == StateChecked, v.Spare != "" && live.Spec.VolumeName == v.Spare && v.State != StateHandedOver:
		return nil
	default:
		// An incomplete volume is made anew: what a killed mover has left on it is not worth keeping.
		_, err := x.remove(ctx, v, live)
		if err == nil {
			v.State, v.Made, v.MadeVolume, v.Filled = StateAside, "", "", false
		}
		return err
	}
}

// keptNow ensures, right before a claim goes, that its volume outlives it: somebody may have reset the reclaim policy.
func (x *run) keptNow(ctx context.Context, v *JournalVolume) error {
	volume, err := x.Cluster.Volume(ctx, v.Displaced.Volume)
	if err != nil || volume == nil || volume.UID != v.Displaced.VolumeUID {
		return err
	}
	if volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain && volume.Labels[cluster.LabelDisplacedFrom] != "" {
		return nil
	}
	return x.keep(ctx, v)
}

// setAsideOther sets aside what is under a claim's name if it is neither what was there before, nor surely made
// and used by this operation alone.
func (x *run) setAsideOther(ctx context.Context, v *JournalVolume, live *corev1.PersistentVolumeClaim) error {
	volume, err := x.Cluster.Volume(ctx, live.Spec.VolumeName)
	if err != nil {
		return err
	}
	if live.Spec.VolumeName != "" && cluster.Binding(volume, live) {
		return fmt.Errorf("claim %s/%s is being bound to volume %s: %w", x.op.Namespace, v.Claim, live.Spec.VolumeName, cluster.ErrChanged)
	}
	if !cluster.BoundTo(volume, live) {
		volume = nil
	}
	if known := v.known(volume); known != nil {
		return x.setAsideAgain(ctx, v, known, cluster.NewDisplaced(live, volume))
	}
	if volume != nil {
		x.Reporter.Note(fmt.Sprintf("setting volume %s of claim %s aside, which pods may have written to; it is kept", volume.Name, v.Claim))
	}
	_, err = x.Cluster.SetAside(ctx, x.op, live, volume, cluster.WhyIncomplete, x.Now(), x.limits.Claim)
	if err != nil {
		return err
	}
	v.State, v.Made, v.MadeVolume, v.Filled = StateAside, "", "", false
	return nil
}

// known is what the journal says about a volume that was the claim's before, or that an undo brings back; nil for all others.
func (v *JournalVolume) known(volume *corev1.PersistentVolume) *cluster.Displaced {
	for _, d := range []*cluster.Displaced{v.Displaced, v.Brings} {
		if volume != nil && d != nil && d.Volume == volume.Name && d.VolumeUID == volume.UID {
			return d
		}
	}
	return nil
}

// setAsideAgain sets aside, with its own marks, a volume that another claim has taken meanwhile.
func (x *run) setAsideAgain(ctx context.Context, v *JournalVolume, known *cluster.Displaced, now cluster.Displaced) error {
	op, why := cluster.Operation{ID: x.journal.Operation, StatefulSet: x.op.StatefulSet}, cluster.WhyReplaced
	if known == v.Brings {
		op.ID = x.journal.RecoveryPoint
	}
	if err := x.Cluster.MarkDisplaced(ctx, op, *known, why, x.Now()); err != nil {
		return err
	}
	if err := x.Cluster.LetClaimGo(ctx, now); err != nil {
		return err
	}
	if err := x.Cluster.AwaitClaimGone(ctx, x.op.Claim(v.Claim), now.UID, x.limits.Claim); err != nil {
		return err
	}
	v.State, v.Made, v.MadeVolume = StateAside, "", ""
	return nil
}

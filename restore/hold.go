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

// hold has no pod of the StatefulSet run until the restore is done: it is scaled to 0, and pods that anybody has it make
// meanwhile wait.
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

// adopt makes the StatefulSet that was made anew since the journal's, and enters that before it is scaled down: what it was
// like would be known nowhere else. Nothing proves any more that no pod has written to what the restore made before.
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

// holdJournal holds the journal's StatefulSet, and enters since when it is held. What may have been written to before is data
// from then on, and nobody's debris.
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

// madeBefore reports whether the journal's operation has made the claim, or may have, without an entry of it. The claim may be gone:
// then live is nil, and what counts is whether a volume can be left of it.
func (x *run) madeBefore(v *JournalVolume, live *corev1.PersistentVolumeClaim) bool {
	if live == nil {
		return v.Made != "" || v.Spare != "" && v.State == StateAside
	}
	return x.journal.created(v, live)
}

// goneClaim stands for the claim that the journal's operation has made, and that is gone.
func goneClaim(v *JournalVolume) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: v.Claim, UID: v.Made}}
}

// keepGoing has the volumes of those claims of the StatefulSet outlive them that somebody has deleted and only a pod keeps:
// to end the pod would delete them.
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

// scaleToZero has the controller make no more claims: somebody has scaled the StatefulSet up while it was held.
func (x *run) scaleToZero(ctx context.Context) error {
	sts, err := x.Cluster.ScaleToZero(ctx, x.op.Key(), x.journal.UID)
	if err != nil {
		return err
	}
	return x.Cluster.AwaitNoPods(ctx, sts, x.limits.Down)
}

// stillHeld looks again whether the StatefulSet is held, and none of its pods runs. Somebody may have scaled it: pods that
// were made then wait, and the restore goes on.
func (x *run) stillHeld(ctx context.Context) error {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	_, err = x.noneRuns(ctx, sts)
	return err
}

// noneRuns demands that the StatefulSet is the journal's, is held, and has no pod that may run. It returns all pods of the
// namespace.
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

// setAside takes the present claims away from their volumes, which are kept. What else lies under the claims' names is set
// aside too, unless it is what this restore has made and nobody has written to since.
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
	// The volumes first, all of them: no claim goes before every volume is safe.
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

// refresh brings the journal up to date with a claim that got a volume, or came to be, while pods were still there.
func (x *run) refresh(ctx context.Context, v *JournalVolume) error {
	if v.State != StatePresent {
		return nil
	}
	claim, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil {
		return err
	}
	if x.plan.Way == WayResume && (claim == nil || v.Displaced == nil || claim.UID != v.Displaced.UID) || claim == nil && v.Displaced == nil {
		return nil // clear takes care of what is there
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

// clear makes the name of a claim free, whatever lies under it: the displaced claim goes, and its volume stays; one that this
// operation has made stays, if nobody can have written to it; all others are set aside.
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
		// One that was not completed is made anew: what a mover has left there that was killed is not worth a thought.
		_, err := x.remove(ctx, v, live)
		if err == nil {
			v.State, v.Made, v.MadeVolume, v.Filled = StateAside, "", "", false
		}
		return err
	}
}

// keptNow makes sure, right before a claim goes, that its volume outlives it: somebody may have set its reclaim policy back.
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

// setAsideOther sets aside what is under a claim's name and is neither what was there before nor surely this operation's
// alone.
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

// known is what the journal says of a volume that was the claim's before, or that an undo brings back; nil for all others.
func (v *JournalVolume) known(volume *corev1.PersistentVolume) *cluster.Displaced {
	for _, d := range []*cluster.Displaced{v.Displaced, v.Brings} {
		if volume != nil && d != nil && d.Volume == volume.Name && d.VolumeUID == volume.UID {
			return d
		}
	}
	return nil
}

// setAsideAgain sets a volume aside that another claim has taken meanwhile, with the marks that belong to it.
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

package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// action is what putting back has to do about one claim.
type action string

const (
	actionNone     action = "none"     // it is as it was
	actionRemove   action = "remove"   // the restore made it, and there was none before
	actionReplace  action = "replace"  // the restore made it in place of the displaced one
	actionRecreate action = "recreate" // the displaced one is gone, or going
	actionRebind   action = "rebind"   // the displaced one was made again, and its volume is not bound to it yet
	actionConflict action = "conflict" // somebody else made a claim where the displaced one was
)

// classify decides what to do about a claim of the journal, looking only at what there is now: live is the claim of
// that name, and volume the displaced one, each nil if there is none.
func classify(j *Journal, v *JournalVolume, live *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) action {
	d := v.Displaced
	switch {
	case live != nil && j.created(v, live) && d == nil:
		return actionRemove
	case live != nil && j.created(v, live):
		return actionReplace
	case d == nil:
		return actionNone
	case live == nil:
		return actionRecreate
	case live.UID == d.UID && live.DeletionTimestamp == nil:
		return actionNone
	case live.UID == d.UID:
		return actionRecreate
	case d.Volume == "":
		return actionNone // there was no data behind it, and whatever is there now is not ours
	case live.Spec.VolumeName != d.Volume || live.DeletionTimestamp != nil:
		return actionConflict
	case cluster.BoundTo(volume, live):
		return actionNone
	default:
		return actionRebind
	}
}

// undo puts back what a failed or interrupted restore has changed. The error is the restore's own, with what the user
// should know about the state that the StatefulSet is in.
func (x *run) undo(ctx context.Context, failure error) error {
	if x.lease.Lost() != nil {
		return fmt.Errorf("%w; nothing was put back, because another operation may be at work by now: run \"stsbackup restore %s/%s\" to put back what this one has changed",
			failure, x.op.Namespace, x.op.StatefulSet)
	}
	if x.journal == nil {
		return failure
	}
	if x.limits.PutBack == 0 {
		x.limits = x.Limits.withDefaults(&appsv1.StatefulSet{})
	}
	ctx, cancel := x.lease.Grace(ctx, x.limits.PutBack)
	defer cancel()
	x.Reporter.Note("putting everything back, because: " + failure.Error())
	done, err := "", error(nil)
	for range 5 {
		if done, err = x.settle(ctx); err == nil {
			x.Reporter.Note(done)
			return fmt.Errorf("%w; %s", failure, done)
		}
		x.Reporter.Note("putting back failed: " + err.Error())
		if wait(ctx, x.limits.Retry) != nil {
			break
		}
	}
	return fmt.Errorf("%w; and putting back failed too: %w; nothing is deleted: the journal is ConfigMap %s/%s, and \"stsbackup restore %s/%s\" tries again to put back what is left",
		failure, err, x.op.Namespace, cluster.JournalName(x.op.StatefulSet), x.op.Namespace, x.op.StatefulSet)
}

// settleInterrupted puts back, or completes, a restore that was killed. One that is put back leaves its journal and
// the StatefulSet at 0 replicas, so that no pod starts on the old data only to be ended again.
func (x *run) settleInterrupted(ctx context.Context) error {
	journal, err := readJournal(ctx, x.Cluster, x.op)
	if err != nil || journal == nil {
		return err
	}
	x.Reporter.Note(fmt.Sprintf("restore %s was interrupted in phase %q", journal.Operation, journal.Phase))
	x.journal, x.resumes = journal, []string{journal.Operation}
	if x.uid, err = x.Cluster.UID(ctx); err != nil {
		return err
	}
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	x.limits = x.Limits.withDefaults(sts)
	if journal.Phase == PhaseResume {
		// Of a StatefulSet that was deleted or made anew since there is nothing to complete.
		if _, err := x.complete(ctx); err != nil && !errors.Is(err, cluster.ErrChanged) {
			return err
		}
		x.journal = nil
		return x.endJournal(ctx)
	}
	x.again = true
	err = x.putClaimsBack(ctx, journal)
	x.again = false
	return err
}

// settle ends the restore that the journal in the cluster tells of, one way or the other, and says which.
func (x *run) settle(ctx context.Context) (string, error) {
	// The journal as it is stored decides: a failed write of the last phase may have been carried out all the same.
	journal, err := readJournal(ctx, x.Cluster, x.op)
	if err != nil {
		return "", err
	}
	if journal == nil {
		return "nothing was changed", nil
	}
	if journal.Phase == PhaseResume {
		x.journal = journal
		if _, err := x.complete(ctx); err != nil {
			return "", err
		}
		return fmt.Sprintf("all data is restored, and the StatefulSet is scaled to %d replicas", journal.ReplicasAfter), removeJournal(ctx, x.Cluster, x.op)
	}
	if err := x.putBack(ctx, journal); err != nil {
		return "", err
	}
	return fmt.Sprintf("everything was put back: %s/%s has its old volumes and %d replicas, as before", x.op.Namespace, x.op.StatefulSet, journal.Replicas), nil
}

// complete gives the StatefulSet its retention policy and its replicas, after the journal's last phase was entered.
func (x *run) complete(ctx context.Context) (*appsv1.StatefulSet, error) {
	var sts *appsv1.StatefulSet
	var err error
	for range 3 {
		sts, err = x.Cluster.SetScale(ctx, x.op.Namespace, x.op.StatefulSet, x.journal.UID,
			cluster.Scale{Replicas: &x.journal.ReplicasAfter, Retention: &x.journal.Retention})
		if err == nil || errors.Is(err, cluster.ErrChanged) || wait(ctx, x.limits.Retry) != nil {
			break
		}
	}
	return sts, err
}

// putBack makes everything as it was before the journal's restore. It may be repeated at any point.
func (x *run) putBack(ctx context.Context, j *Journal) error {
	if err := x.putClaimsBack(ctx, j); err != nil {
		return err
	}
	// Replicas and retention policy in one step: at no time do claims without pods stand under "whenScaled: Delete".
	_, err := x.Cluster.SetScale(ctx, x.op.Namespace, x.op.StatefulSet, j.UID, cluster.Scale{Replicas: &j.Replicas, Retention: &j.Retention})
	if err != nil && !errors.Is(err, cluster.ErrChanged) {
		return err
	}
	return removeJournal(ctx, x.Cluster, x.op)
}

// putClaimsBack puts the claims and their volumes back and leaves the StatefulSet without pods, if it had to touch any
// claim.
func (x *run) putClaimsBack(ctx context.Context, j *Journal) error {
	touched := false
	for i := range j.Volumes {
		what, _, err := x.examine(ctx, j, &j.Volumes[i])
		if err != nil {
			return err
		}
		touched = touched || what != actionNone
	}
	if touched {
		if err := x.hold(ctx, j); err != nil && !errors.Is(err, cluster.ErrChanged) {
			return err
		}
	}
	var failures []error
	for i := range j.Volumes {
		failures = append(failures, x.putClaimBack(ctx, j, &j.Volumes[i]))
	}
	return errors.Join(failures...)
}

func (x *run) examine(ctx context.Context, j *Journal, v *JournalVolume) (action, *corev1.PersistentVolumeClaim, error) {
	live, err := x.Cluster.Claim(ctx, x.op.Namespace, v.Claim)
	if err != nil {
		return "", nil, err
	}
	var volume *corev1.PersistentVolume
	if v.Displaced != nil && v.Displaced.Volume != "" {
		if volume, err = x.Cluster.Volume(ctx, v.Displaced.Volume); err != nil {
			return "", nil, err
		}
	}
	return classify(j, v, live, volume), live, nil
}

// putClaimBack puts one claim back, and its volume's reclaim policy.
func (x *run) putClaimBack(ctx context.Context, j *Journal, v *JournalVolume) error {
	what, live, err := x.examine(ctx, j, v)
	if err != nil {
		return err
	}
	d := v.Displaced
	if what == actionConflict {
		return fmt.Errorf("claim %s/%s was made by somebody else, so volume %s cannot be bound to a claim of that name: delete the claim if nothing on it is needed (kubectl -n %s delete pvc %s)",
			x.op.Namespace, v.Claim, d.Volume, x.op.Namespace, v.Claim)
	}
	if what == actionRemove || what == actionReplace {
		x.takeBack(ctx, j, v, live)
		if err := x.Cluster.RemoveClaim(ctx, live, x.limits.Claim); err != nil {
			return err
		}
	}
	if v.Spare != "" {
		if err := x.Cluster.ReleaseSpare(ctx, v.Spare, x.op.Namespace, v.Claim, v.SpareReserved); err != nil {
			return err
		}
	}
	switch what {
	case actionRecreate, actionReplace, actionRebind:
		err := x.bindAgain(ctx, d, what != actionRebind)
		if x.again && errors.Is(err, cluster.ErrNotFound) {
			// What is gone cannot be put back, and must not keep the next restore from bringing the data back.
			x.Reporter.Note(err.Error())
			return nil
		}
		if err != nil {
			return err
		}
	}
	if d == nil || d.Volume == "" {
		return nil
	}
	return x.Cluster.UnmarkDisplaced(ctx, *d)
}

// takeBack empties a volume that people made and that the restore has filled, so that the next one can use it. If that
// fails, the next one will say that the volume is not empty.
func (x *run) takeBack(ctx context.Context, j *Journal, v *JournalVolume, live *corev1.PersistentVolumeClaim) {
	if !v.Filling && !v.Filled || live.Spec.VolumeName != v.Spare {
		return
	}
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err == nil && sts.UID != j.UID { // one that was made anew is not held at 0 replicas: its pods may have written there
		err = fmt.Errorf("%s was made anew: %w", x.op.Object(), cluster.ErrChanged)
	}
	if err == nil {
		err = x.Filler.TakeBack(ctx, x.target(sts), *v)
	}
	if err != nil {
		x.Reporter.Note(fmt.Sprintf("volume %s still holds what was restored; empty it before it can be used again: %v", v.Spare, err))
	}
}

// bindAgain makes the displaced claim again, if it is not there, and waits until its volume is bound to it.
func (x *run) bindAgain(ctx context.Context, d *cluster.Displaced, create bool) error {
	if create {
		if err := x.Cluster.AwaitClaimGone(ctx, x.op.Namespace, d.Claim.Name, d.UID, x.limits.Claim); err != nil {
			return err
		}
	}
	if d.Volume != "" {
		if err := x.Cluster.RebindVolume(ctx, *d); err != nil {
			return err
		}
	}
	if create {
		if _, err := x.Cluster.CreateFinalClaim(ctx, d.Claim); err != nil {
			return err
		}
	}
	if d.Volume == "" {
		return nil
	}
	return x.Cluster.AwaitBound(ctx, x.op.Namespace, d.Claim.Name, d.Volume, x.limits.Claim)
}

// wait pauses between two attempts.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Restorer carries plans out.
type Restorer struct {
	Cluster  *cluster.Client
	Filler   Filler
	Reporter Reporter
	// Now is the clock, Random the source of the operation's id.
	Now    func() time.Time
	Random io.Reader
	// Holder says to others who holds the Lease.
	Holder string
	Limits Limits
}

// Err is the plan's refusals as one error, nil if there are none.
func (p *Plan) Err() error {
	var all []error
	for _, refusal := range p.Refusals {
		all = append(all, refusal)
	}
	return errors.Join(all...)
}

// Run carries out a plan that was made of record and that a person has agreed to. If it fails, the StatefulSet is as it
// was before, or the error says what is not and what to do. A plan with refusals is refused; before that, a restore that
// was killed is put back or completed.
func (r *Restorer) Run(ctx context.Context, plan Plan, record catalog.Record) (report Report, err error) {
	if err := plan.Err(); err != nil && plan.Interrupted == "" {
		return Report{}, err
	}
	id, err := catalog.NewID(r.Now(), r.Random)
	if err != nil {
		return Report{}, err
	}
	op := cluster.Operation{ID: id, Kind: "restore", Namespace: plan.Namespace, StatefulSet: plan.StatefulSet}
	lease, err := r.Cluster.Acquire(ctx, op, cluster.LeaseOptions{Holder: op.String() + " " + r.Holder, Waiting: r.Reporter.Note})
	if err != nil {
		return Report{}, err
	}
	x := &run{Restorer: r, op: op, lease: lease, plan: plan, record: record, began: r.Now()}
	defer x.finish(ctx)
	return x.carryOut(lease.Context()) //nolint:contextcheck // it is made from ctx, and dies with the Lease
}

// run is one Run under its Lease.
type run struct {
	*Restorer
	op     cluster.Operation
	lease  *cluster.Lease
	plan   Plan
	record catalog.Record
	limits Limits

	uid     string // the cluster's
	sts     *appsv1.StatefulSet
	journal *Journal
	// resumes are the operations of the journal that was found: what they have left in volumes is ours to remove.
	resumes []string
	// again is true while an interrupted restore is put back to make way for this one.
	again  bool
	began  time.Time
	down   time.Time // when the StatefulSet was scaled to 0
	report Report
}

// carryOut is the restore, step by step. What fails before the journal's last phase is undone.
func (x *run) carryOut(ctx context.Context) (Report, error) {
	for _, step := range []func(context.Context) error{
		x.begin,    // sweep, put an interrupted restore back, look again, write the journal
		x.guard,    // nothing can be deleted by policy
		x.scaleOff, // 0 replicas, no pods
		x.setAside, // old volumes kept and marked, their claims gone
		x.create,   // claims under their final names
		x.fill,     // data into them
		x.commit,   // every ordinal complete: no way back
	} {
		if err := step(ctx); err != nil {
			return Report{}, x.undo(ctx, err)
		}
	}
	return x.resume(ctx)
}

// finish removes what the operation has made for itself, and gives the Lease back. What cannot be removed now is told, and
// swept by the next operation: it makes no failure of a restore that is done.
func (x *run) finish(ctx context.Context) {
	ctx, cancel := x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	if x.lease.Lost() == nil {
		if _, err := x.Cluster.Cleanup(ctx, x.op); err != nil {
			x.Reporter.Note("warning: clean up: " + err.Error() + "; the next operation on this StatefulSet tries again")
		}
	}
	if err := x.lease.Release(ctx); err != nil {
		x.Reporter.Note("warning: " + err.Error() + "; it ends by itself")
	}
}

// begin makes sure that the plan still holds, now that nobody else may change things, and writes the journal.
func (x *run) begin(ctx context.Context) error {
	swept, err := x.Cluster.Sweep(ctx, x.op)
	for _, what := range swept {
		x.Reporter.Note("removed what a dead operation has left: " + what)
	}
	if err != nil {
		return err
	}
	if err := x.settleInterrupted(ctx); err != nil {
		return err
	}
	situation, err := Look(ctx, x.Cluster, x.record, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	x.uid = situation.Cluster
	x.limits = x.Limits.withDefaults(situation.StatefulSet)
	plan := NewPlan(situation)
	if err := plan.Err(); err != nil {
		return err
	}
	if !plan.Same(x.plan) {
		return &cluster.Refusal{
			Object: x.op.Object(), Reason: "it has changed since the plan was made",
			Next: "run the command again, and read the new plan",
		}
	}
	leftover := situation.Journal
	if leftover != nil {
		situation = leftover.settled(situation)
	}
	x.plan, x.sts = plan, situation.StatefulSet
	x.journal = newJournal(&x.plan, &situation, x.op.ID, x.Now())
	if leftover != nil {
		return x.journal.write(ctx, x.Cluster, x.op)
	}
	return x.journal.create(ctx, x.Cluster, x.op)
}

// guard makes sure that scaling down and deleting claims cannot delete data.
func (x *run) guard(ctx context.Context) error {
	if err := x.keepVolumes(ctx); err != nil {
		return err
	}
	keep := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	if x.journal.Retention.WhenScaled == keep && x.journal.Retention.WhenDeleted == keep {
		return nil
	}
	_, err := x.Cluster.SetScale(ctx, x.op.Namespace, x.op.StatefulSet, x.journal.UID, cluster.Scale{
		Retention: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: keep, WhenDeleted: keep},
	})
	return err
}

// keepVolumes has the volumes outlive their claims.
func (x *run) keepVolumes(ctx context.Context) error {
	for _, v := range x.journal.Volumes {
		if v.Displaced == nil || v.Displaced.Volume == "" {
			continue
		}
		if err := x.Cluster.KeepVolume(ctx, *v.Displaced); err != nil {
			return err
		}
	}
	return nil
}

// scaleOff ends the pods.
func (x *run) scaleOff(ctx context.Context) error {
	if err := x.journal.enter(ctx, x.Cluster, x.op, PhaseDown); err != nil {
		return err
	}
	if x.journal.Replicas > 0 {
		x.Reporter.Note(fmt.Sprintf("scaling %s/%s from %d to 0 replicas", x.op.Namespace, x.op.StatefulSet, x.journal.Replicas))
	}
	x.down = x.Now()
	return x.hold(ctx, x.journal)
}

// hold scales the journal's StatefulSet to 0 and waits until its pods are gone.
func (x *run) hold(ctx context.Context, j *Journal) error {
	none := int32(0)
	sts, err := x.Cluster.SetScale(ctx, x.op.Namespace, x.op.StatefulSet, j.UID, cluster.Scale{Replicas: &none})
	if err != nil {
		return err
	}
	return x.Cluster.AwaitNoPods(ctx, sts, x.limits.Down)
}

// setAside marks the volumes as displaced and deletes their claims.
func (x *run) setAside(ctx context.Context) error {
	if err := x.refresh(ctx); err != nil {
		return err
	}
	if err := x.journal.enter(ctx, x.Cluster, x.op, PhaseAside); err != nil {
		return err
	}
	// The volumes first, all of them: no claim goes before every volume is safe.
	if err := x.keepVolumes(ctx); err != nil {
		return err
	}
	for _, v := range x.journal.Volumes {
		if v.Displaced == nil || v.Displaced.Volume == "" {
			continue
		}
		x.Reporter.Note(fmt.Sprintf("setting volume %s of claim %s aside", v.Displaced.Volume, v.Claim))
		if err := x.Cluster.MarkDisplaced(ctx, x.op, *v.Displaced, x.Now()); err != nil {
			return err
		}
	}
	for _, v := range x.journal.Volumes {
		if err := x.deleteDisplaced(ctx, v); err != nil {
			return err
		}
	}
	for _, v := range x.journal.Volumes {
		if v.Displaced == nil {
			continue
		}
		if err := x.Cluster.AwaitClaimGone(ctx, x.op.Namespace, v.Claim, v.Displaced.UID, x.limits.Claim); err != nil {
			return err
		}
	}
	return nil
}

// refresh brings the journal up to date with claims that got a volume, or came to be, while pods were still there.
func (x *run) refresh(ctx context.Context) error {
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		claim, err := x.Cluster.Claim(ctx, x.op.Namespace, v.Claim)
		if err != nil {
			return err
		}
		if claim == nil && v.Displaced == nil {
			continue
		}
		if claim == nil || claim.DeletionTimestamp != nil || v.Displaced != nil && claim.UID != v.Displaced.UID {
			return fmt.Errorf("claim %s/%s is no longer the one that the plan was made for: %w", x.op.Namespace, v.Claim, cluster.ErrChanged)
		}
		if v.Displaced != nil && claim.Spec.VolumeName == v.Displaced.Claim.Spec.VolumeName {
			continue
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
	}
	return nil
}

// deleteDisplaced deletes a claim, if it still is as the journal has it.
func (x *run) deleteDisplaced(ctx context.Context, v JournalVolume) error {
	if v.Displaced == nil {
		return nil
	}
	var err error
	for range 10 {
		claim, readErr := x.Cluster.Claim(ctx, x.op.Namespace, v.Claim)
		if readErr != nil {
			return readErr
		}
		if claim == nil {
			return nil
		}
		if claim.UID != v.Displaced.UID || claim.Spec.VolumeName != v.Displaced.Claim.Spec.VolumeName {
			return fmt.Errorf("claim %s/%s got another volume: %w", x.op.Namespace, v.Claim, cluster.ErrChanged)
		}
		if err = x.Cluster.DeleteClaim(ctx, claim); !errors.Is(err, cluster.ErrChanged) {
			return err
		}
	}
	return err
}

// commit makes sure that nobody has interfered, and turns the journal to the phase from which there is no way back.
func (x *run) commit(ctx context.Context) error {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	if sts.UID != x.journal.UID || cluster.Replicas(sts) != 0 {
		return fmt.Errorf("somebody has scaled %s to %d replicas in the middle of the restore: %w", x.op.Object(), cluster.Replicas(sts), cluster.ErrChanged)
	}
	for i := range x.report.Volumes {
		restored := &x.report.Volumes[i]
		claim, err := x.Cluster.Claim(ctx, x.op.Namespace, restored.Claim)
		if err != nil {
			return err
		}
		if claim == nil || !x.journal.created(&x.journal.Volumes[i], claim) || claim.DeletionTimestamp != nil {
			return fmt.Errorf("claim %s/%s is no longer the one that was restored: %w", x.op.Namespace, restored.Claim, cluster.ErrChanged)
		}
		volume, err := x.Cluster.Volume(ctx, claim.Spec.VolumeName)
		if err != nil {
			return err
		}
		if !cluster.BoundTo(volume, claim) {
			return fmt.Errorf("claim %s/%s is not bound: %w", x.op.Namespace, restored.Claim, cluster.ErrChanged)
		}
		restored.Volume = volume.Name
	}
	return x.journal.enter(ctx, x.Cluster, x.op, PhaseResume)
}

// resume starts the StatefulSet on its restored volumes.
func (x *run) resume(ctx context.Context) (Report, error) {
	// From here on only forward, whatever is interrupted.
	clean, cancel := x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	sts, err := x.complete(clean)
	if err != nil {
		return Report{}, fmt.Errorf("all data is restored, but the StatefulSet could not be scaled up: %w; run \"stsbackup restore %s/%s\" again, or \"kubectl -n %s scale statefulset %s --replicas=%d\"",
			err, x.op.Namespace, x.op.StatefulSet, x.op.Namespace, x.op.StatefulSet, x.journal.ReplicasAfter)
	}
	x.Reporter.Note(fmt.Sprintf("all volumes are complete; waiting for %d pods to become Ready", x.journal.ReplicasAfter))
	readyErr := x.Cluster.AwaitReady(ctx, sts, x.limits.Ready)
	// Whatever the pods do now, the restore is done: its journal must not undo what they have written since.
	clean, cancel = x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	x.fillReport(clean)
	if err := x.endJournal(clean); err != nil {
		return x.report, errors.Join(readyErr, err)
	}
	if readyErr != nil {
		return x.report, fmt.Errorf("all data is restored and the StatefulSet is scaled to %d, but %w", x.journal.ReplicasAfter, readyErr)
	}
	return x.report, nil
}

// endJournal removes the journal, and does not give up at once.
func (x *run) endJournal(ctx context.Context) error {
	var err error
	for range 3 {
		if err = removeJournal(ctx, x.Cluster, x.op); err == nil || wait(ctx, x.limits.Retry) != nil {
			break
		}
	}
	return err
}

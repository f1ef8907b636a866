package restore

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/wait"
)

// completeInterrupted completes a restore that was interrupted when all of its data was in place, to make way
// for the next one. What it has handed over is data by now, and needs no decision.
func (x *run) completeInterrupted(ctx context.Context) error {
	situation, err := Look(ctx, x.Cluster, x.record, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	journal := situation.Journal
	if journal == nil || journal.Phase != PhaseResume || x.plan.Way != WayNone {
		return nil
	}
	x.Reporter.Note("completing " + journal.words())
	x.journal = journal
	x.limits = x.Limits.withDefaults(situation.StatefulSet)
	if _, err := x.complete(ctx); err != nil {
		return err
	}
	if err := x.endJournal(ctx); err != nil {
		return err
	}
	x.journal = nil
	return nil
}

// complete lets pods start. The StatefulSet gets its template, its retention policy and, unless somebody has scaled it up since,
// its replicas. Volumes that an undo has brought back lose their marks. The journal's last phase was entered before.
func (x *run) complete(ctx context.Context) (sts *appsv1.StatefulSet, err error) {
	j := x.journal
	for range 3 {
		if sts, err = x.start(ctx, j.ReplicasAfter); err == nil || errors.Is(err, cluster.ErrChanged) || wait.For(ctx, x.limits.Retry) != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for i := range j.Volumes {
		if brings := j.Volumes[i].Brings; brings != nil {
			if err := x.Cluster.UnmarkDisplaced(ctx, *brings); err != nil {
				return nil, err
			}
		}
	}
	return sts, nil
}

// start removes the gate, and scales to that many replicas. If the gate is off already, this was done before,
// and the present number of replicas is somebody's choice.
func (x *run) start(ctx context.Context, replicas int32) (*appsv1.StatefulSet, error) {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return nil, err
	}
	scale := cluster.Scale{}
	if sts.UID != x.journal.UID { // created anew since, with its own policy and replicas
		return x.Cluster.Release(ctx, x.op.Key(), sts.UID, scale, x.limits.Down)
	}
	scale.Retention = x.policyBack(sts)
	if err := x.stillWhole(ctx, sts); err != nil {
		return nil, err
	}
	if cluster.Replicas(sts) == 0 && x.journal.holds(sts) {
		scale.Replicas = &replicas
	}
	return x.Cluster.Release(ctx, x.op.Key(), x.journal.UID, scale, x.limits.Down)
}

// policyBack is the retention policy to restore when the gate is removed. If the gate is off already, either the policy was
// restored with it, or somebody who removed the gate wants another policy: then policyBack leaves it, and reports it if it differs.
func (x *run) policyBack(sts *appsv1.StatefulSet) *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	keep := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	was, is := x.journal.Retention, retention(sts)
	guarded := x.journal.Held == 0 && is.WhenScaled == keep && is.WhenDeleted == keep // and the gate may never have been on
	if guarded || x.journal.holds(sts) {
		return &was
	}
	if is != was {
		x.Reporter.Note(
			fmt.Sprintf(
				"the persistentVolumeClaimRetentionPolicy of %s stays as somebody has left it (whenScaled: %s, whenDeleted: %s); it was whenScaled: "+
					"%s, whenDeleted: %s",
				x.op.Object(),
				is.WhenScaled,
				is.WhenDeleted,
				was.WhenScaled,
				was.WhenDeleted,
			),
		)
	}
	return nil
}

// stillWhole checks, as long as no pod has run, that all that was handed over still exists: without a pod there is no
// good reason for a claim to be gone. Once pods run, their volumes are theirs, whoever started the pods, complete or not.
func (x *run) stillWhole(ctx context.Context, sts *appsv1.StatefulSet) error {
	if !cluster.Gated(&sts.Spec.Template.Spec) {
		return nil
	}
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil || len(running(sts, pods)) > 0 {
		return err
	}
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		if v.State != StateHandedOver {
			continue // the StatefulSet was created anew with fewer replicas
		}
		if _, err := x.whole(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// keepPresent ends an interrupted restore, and keeps what runs now. What the restore had set aside stays set aside.
func (x *run) keepPresent(ctx context.Context) (Report, error) {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return Report{}, err
	}
	pods, err := x.Cluster.Pods(ctx, x.op.Namespace)
	if err != nil {
		return Report{}, err
	}
	if len(running(sts, pods)) == 0 {
		return Report{}, &cluster.Refusal{
			Object: x.op.Object(), Reason: "none of its pods runs any more, so there is nothing to keep",
			Next: "run the command again, and read the new plan",
		}
	}
	j := x.journal
	if sts.UID != j.UID {
		j.UID, j.Retention = sts.UID, retention(sts)
	}
	for i := range j.Volumes {
		v := &j.Volumes[i]
		for _, d := range []*cluster.Displaced{v.Displaced, v.Brings} {
			if d == nil || d.Volume == "" {
				continue
			}
			if err := x.Cluster.UnmarkDisplaced(ctx, *d); err != nil { // if the claim holds it again
				return Report{}, err
			}
		}
		v.State = StateHandedOver
	}
	if err := x.enter(ctx, PhaseResume); err != nil {
		return Report{}, err
	}
	sts, err = x.Cluster.Release(ctx, x.op.Key(), j.UID, cluster.Scale{Retention: x.policyBack(sts)}, x.limits.Down)
	if err != nil {
		return Report{}, fmt.Errorf("let pods start again: %w", err)
	}
	x.report.Kept = true
	x.fillReport(ctx)
	if err := x.endJournal(ctx); err != nil {
		return x.report, err
	}
	x.Reporter.Note(fmt.Sprintf("%s was ended; %s keeps what runs now, with %d replicas", j.verb(), x.op.Object(), cluster.Replicas(sts)))
	return x.report, nil
}

// resume starts the StatefulSet on its restored volumes.
func (x *run) resume(ctx context.Context) (Report, error) {
	// From here on there is only the way forward, whatever interrupts it.
	clean, cancel := x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	sts, err := x.complete(clean)
	if err != nil {
		return Report{}, fmt.Errorf(
			"all data is in place, but the StatefulSet could not be scaled up: %w; run \"stsbackup restore %s/%s --resume\" to try that again",
			err,
			x.op.Namespace,
			x.op.StatefulSet,
		)
	}
	x.Reporter.Note(fmt.Sprintf("all volumes are complete; waiting for %d pods to become Ready", cluster.Replicas(sts)))
	readyErr := x.Cluster.AwaitReady(ctx, sts, x.limits.Ready)
	// Whatever the pods do now, the restore is done: its journal must not undo what they have written since.
	clean, cancel = x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	x.fillReport(clean)
	if err := x.endJournal(clean); err != nil {
		return x.report, errors.Join(readyErr, err)
	}
	if readyErr != nil {
		return x.report, fmt.Errorf(
			"all data is in place and the StatefulSet is scaled to %d, but %w: %w",
			cluster.Replicas(sts),
			ErrNotReady,
			readyErr,
		)
	}
	return x.report, nil
}

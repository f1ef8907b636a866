package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Restorer carries plans out.
type Restorer struct {
	Cluster  *cluster.Client
	Filler   Filler
	Reporter report.Reporter
	// Now is the clock, Random the source of the operation's id.
	Now    func() time.Time
	Random io.Reader
	// Holder tells others who holds the Lease.
	Holder string
	// Parallel is how many ordinals to fill at once; less than 1 means 2.
	Parallel int
	// Wait is how long to wait for another operation on the StatefulSet; with zero, Run refuses at once.
	Wait   time.Duration
	Limits Limits
}

// ErrNotReady is wrapped by the error of a restore or undo that is done, but whose pods did not become Ready in time.
var ErrNotReady = errors.New("the pods are not Ready")

// Err is the plan's refusals as one error; nil if there are none.
func (p *Plan) Err() error {
	var all []error
	for _, refusal := range p.Refusals {
		all = append(all, refusal)
	}
	return errors.Join(all...)
}

// Run carries out a plan that was made from record (from none, for an undo), and to which a person has agreed. If Run fails,
// the StatefulSet is as it was before, or the error says what is not and what to do. Run refuses a plan with refusals.
func (r *Restorer) Run(ctx context.Context, plan Plan, record catalog.Record) (Report, error) {
	if err := plan.Err(); err != nil {
		return Report{}, err
	}
	id, err := catalog.NewID(r.Now(), r.Random)
	if err != nil {
		return Report{}, err
	}
	op := cluster.Operation{ID: string(id), Kind: string(plan.Kind), Namespace: plan.Namespace, StatefulSet: plan.StatefulSet}
	engine := *r
	engine.Reporter = report.NewSerial(r.Reporter)
	client := *r.Cluster
	client.Waiting = engine.Reporter.Note
	engine.Cluster = &client
	r = &engine
	lease, err := r.Cluster.Acquire(
		ctx,
		op,
		cluster.LeaseOptions{Holder: op.String() + " " + r.Holder, Waiting: r.Reporter.Note, Wait: r.Wait},
	)
	if err != nil {
		return Report{}, offerWait(err)
	}
	x := &run{Restorer: r, op: op, lease: lease, plan: plan, record: record, began: r.Now()}
	defer x.finish(ctx)
	return x.carryOut(lease.Context()) //nolint:contextcheck // it is made from ctx, and dies with the Lease
}

// offerWait adds to the refusal of a restore that meets another operation that it can wait for that operation.
func offerWait(err error) error {
	var refusal *cluster.Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, cluster.ErrBusy) {
		return err
	}
	offer := *refusal
	offer.Next += ", or have it wait with --wait, for which a scheduler's backup steps aside"
	return &offer
}

// run is one Run under its Lease.
type run struct {
	*Restorer
	op     cluster.Operation
	lease  *cluster.Lease
	plan   Plan
	record catalog.Record
	limits Limits

	uid string // the cluster's
	sts *appsv1.StatefulSet
	// journal may be changed, and written, only while holding writing.
	journal *Journal
	writing sync.Mutex
	// written says that the journal was stored in the cluster; gone lists volumes that could not be put back because they no longer exist.
	written bool
	gone    []string
	began   time.Time
	down    time.Time // when the StatefulSet was scaled to 0
	report  Report
}

// carryOut does what the plan says. If a step before the journal's last phase fails, it puts back what was done.
func (x *run) carryOut(ctx context.Context) (Report, error) {
	if err := x.begin(ctx); err != nil { // sweep, look again, plan again
		return Report{}, err
	}
	switch {
	case x.plan.Way == WayPutBack:
		return x.putBackNow(ctx)
	case x.plan.Way == WayKeep:
		return x.keepPresent(ctx)
	case x.journal != nil && x.journal.Phase == PhaseResume:
		return x.resume(ctx)
	}
	if err := x.probe(ctx); err != nil { // before anything is changed
		return Report{}, err
	}
	for _, step := range []func(context.Context) error{
		x.beginJournal, // from here on, what is done can be put back
		x.guard,        // no policy can delete anything
		x.hold,         // 0 replicas, no pods, and new ones wait
		x.setAside,     // old volumes kept and marked, their claims gone
		x.create,       // claims under their final names
		x.fill,         // data into them
		x.handOver,     // every ordinal complete: from here on, only a person can go back
	} {
		if err := step(ctx); err != nil {
			return Report{}, x.undo(ctx, err)
		}
	}
	return x.resume(ctx)
}

// finish removes what the operation made for itself, and gives the Lease back. It reports what it cannot remove
// now, and the next operation sweeps that: it does not make a finished restore fail.
func (x *run) finish(ctx context.Context) {
	ctx, cancel := x.lease.Grace(ctx, tidyWithin)
	defer cancel()
	if x.lease.Lost() == nil {
		own, err := x.Cluster.Cleanup(ctx, x.op, cluster.Removing{Limit: tidyWithin / 2, Waiting: x.Reporter.Note})
		for _, left := range own.Left {
			err = errors.Join(err, left)
		}
		if err != nil {
			x.Reporter.Warn("clean up: " + err.Error() + "; the next operation on this StatefulSet tries again")
		}
	}
	if err := x.lease.Release(ctx); err != nil {
		x.Reporter.Warn(err.Error() + "; it expires by itself")
	}
}

// begin ensures that the plan still holds, now that no other stsbackup may change things.
func (x *run) begin(ctx context.Context) error {
	if err := x.sweep(ctx); err != nil {
		return err
	}
	if err := x.completeInterrupted(ctx); err != nil {
		return err
	}
	situation, err := Look(ctx, x.Cluster, x.record, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	x.uid = situation.Cluster
	x.limits = x.Limits.withDefaults(situation.StatefulSet)
	plan := NewPlan(situation, x.plan.options)
	if err := x.admit(ctx, &plan, x.op); err != nil {
		return err
	}
	if err := plan.Err(); err != nil {
		return err
	}
	if !plan.Same(x.plan) {
		return &cluster.Refusal{
			Object: x.op.Object(), Reason: "it has changed since the plan was made",
			Next: "run the command again, and read the new plan",
		}
	}
	x.plan, x.sts, x.journal = plan, situation.StatefulSet, situation.Journal
	if x.journal != nil {
		x.Reporter.Note(x.journal.words())
		if x.plan.Way == WayResume {
			x.journal.add(newJournal(&x.plan, x.op.ID, x.Now()))
		}
		return nil
	}
	x.journal = newJournal(&x.plan, x.op.ID, x.Now())
	return nil
}

// probe runs one mover that touches no volume, while the StatefulSet still runs: nobody should take the
// StatefulSet down only to find an image that cannot be pulled, or a bucket that pods cannot reach.
func (x *run) probe(ctx context.Context) error {
	var filled []Volume
	for _, v := range x.plan.Volumes {
		if v.brings == nil {
			filled = append(filled, v)
		}
	}
	if len(filled) == 0 {
		return nil
	}
	if x.plan.tight {
		x.Reporter.Note("a quota has room for movers only when the pods are gone, so no mover is tried before that")
		return nil
	}
	x.Reporter.Note("starting one mover to check that movers can run here and read the recovery point")
	if err := x.Filler.Probe(ctx, x.target(x.sts), filled); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return nil
}

// beginJournal writes the journal before the first change.
func (x *run) beginJournal(ctx context.Context) error {
	x.Reporter.Phase(report.Phase(x.journal.Phase))
	if x.plan.Way != WayResume {
		err := x.journal.create(ctx, x.Cluster, x.op)
		x.written = err == nil
		return err
	}
	x.written = true
	x.journal.Others = append(x.journal.Others, x.op.ID)
	return x.journal.write(ctx, x.Cluster, x.op)
}

// guard ensures that scaling down and deleting claims cannot delete data. The present volumes outlive their
// claims, and get marks by which we find them, whoever deletes the claims. The StatefulSet keeps its claims.
func (x *run) guard(ctx context.Context) error {
	if err := x.keepVolumes(ctx); err != nil {
		return err
	}
	keep := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	if x.journal.Retention.WhenScaled == keep && x.journal.Retention.WhenDeleted == keep {
		return nil
	}
	_, err := x.Cluster.SetScale(ctx, x.op.Key(), x.sts.UID, cluster.Scale{
		Retention: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: keep, WhenDeleted: keep},
	})
	return err
}

// keepVolumes makes the present volumes outlive their claims.
func (x *run) keepVolumes(ctx context.Context) error {
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		if v.State != StatePresent || v.Displaced == nil || v.Displaced.Volume == "" {
			continue
		}
		if err := x.keep(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// keep makes a present volume outlive its claim.
func (x *run) keep(ctx context.Context, v *JournalVolume) error {
	if x.plan.Way == WayResume {
		volume, err := x.Cluster.Volume(ctx, v.Displaced.Volume)
		if err != nil {
			return err
		}
		if volume == nil || volume.UID != v.Displaced.VolumeUID {
			x.Reporter.Note(
				fmt.Sprintf("volume %s of claim %s is gone: somebody has deleted it since the restore was interrupted", v.Displaced.Volume, v.Claim),
			)
			return nil
		}
		if ref := volume.Spec.ClaimRef; ref == nil || ref.Namespace != x.op.Namespace || ref.Name != v.Claim {
			return fmt.Errorf("volume %s, which the journal has for claim %s, is not that claim's: %w", volume.Name, v.Claim, cluster.ErrChanged)
		}
	}
	why, at := cluster.WhyReplaced, x.journal.Started
	if x.plan.Kind == KindUndo {
		why = cluster.WhyUndone
	}
	if x.plan.Way == WayResume { // its age counts from when its claim goes
		at = x.Now()
	}
	return x.Cluster.MarkDisplaced(ctx, cluster.Operation{ID: x.journal.Operation, StatefulSet: x.op.StatefulSet}, *v.Displaced, why, at)
}

// handOver checks that nobody has interfered, and moves the journal to the phase after which only a person can
// go back: once it is written, pods may start.
func (x *run) handOver(ctx context.Context) error {
	if err := x.stillHeld(ctx); err != nil {
		return err
	}
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		if !planned(x.plan.Volumes, v.Ordinal, v.Template) {
			continue // the StatefulSet was created anew with fewer replicas
		}
		volume, err := x.whole(ctx, v)
		if err != nil {
			return err
		}
		for k := range x.report.Volumes {
			if x.report.Volumes[k].Claim == v.Claim {
				x.report.Volumes[k].Volume = volume
			}
		}
	}
	for i := range x.journal.Volumes {
		v := &x.journal.Volumes[i]
		if v.State = StateHandedOver; !planned(x.plan.Volumes, v.Ordinal, v.Template) {
			v.State = StateAside // and nobody waits for a claim of it
		}
	}
	return x.enter(ctx, PhaseResume)
}

// whole fails unless a claim is the one that was made, bound and complete. It returns the name of the claim's volume.
func (x *run) whole(ctx context.Context, v *JournalVolume) (string, error) {
	claim, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil {
		return "", err
	}
	if claim == nil || !x.journal.created(v, claim) || claim.DeletionTimestamp != nil || v.Made != claim.UID {
		return "", fmt.Errorf("claim %s/%s is no longer the one that was restored: %w", x.op.Namespace, v.Claim, cluster.ErrChanged)
	}
	volume, err := x.Cluster.Volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	if !cluster.BoundTo(volume, claim) || v.MadeVolume != volume.UID {
		return "", fmt.Errorf("claim %s/%s is not bound to the volume that was restored: %w", x.op.Namespace, v.Claim, cluster.ErrChanged)
	}
	if v.State != StateChecked && v.State != StateHandedOver {
		return "", fmt.Errorf("claim %s/%s is not complete (%s)", x.op.Namespace, v.Claim, v.State)
	}
	return volume.Name, nil
}

// endJournal removes the journal. It retries before it gives up.
func (x *run) endJournal(ctx context.Context) error {
	var err error
	for range 3 {
		if err = x.journal.remove(ctx, x.Cluster, x.op); err == nil || wait.For(ctx, x.limits.Retry) != nil {
			break
		}
	}
	return err
}

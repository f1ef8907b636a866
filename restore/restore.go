package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Filler writes one volume's data into its new claim. It returns when nothing uses the claim any more, also when ctx
// has ended or it fails.
type Filler interface {
	Fill(ctx context.Context, target Target, v Volume, progress func(Progress)) (archive.Result, error)
}

// Target is what a Filler may want to know of the StatefulSet that is being restored.
type Target struct {
	Operation   cluster.Operation
	StatefulSet *appsv1.StatefulSet
	// Source is the recovery point as namespace/statefulset@id.
	Source string
}

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

// Limits bound the waits of a restore. Zero values stand for the defaults.
type Limits struct {
	// Ready bounds the wait for the pods at the end: 10 minutes.
	Ready time.Duration
	// Down bounds the wait until one pod after the other is gone: 2 minutes, and each pod's grace period.
	Down time.Duration
	// Claim bounds the wait until one claim is gone or bound: 2 minutes.
	Claim time.Duration
	// PutBack bounds all of putting back: 15 minutes. Retry is the pause after a failure in it: 3 seconds.
	PutBack time.Duration
	Retry   time.Duration
}

func (l Limits) withDefaults(sts *appsv1.StatefulSet) Limits {
	set := func(limit *time.Duration, value time.Duration) {
		if *limit == 0 {
			*limit = value
		}
	}
	grace := 30 * time.Second
	if seconds := sts.Spec.Template.Spec.TerminationGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	pods := max(cluster.Replicas(sts), sts.Status.Replicas)
	set(&l.Ready, 10*time.Minute)
	set(&l.Down, 2*time.Minute+time.Duration(pods)*grace)
	set(&l.Claim, 2*time.Minute)
	set(&l.PutBack, 15*time.Minute)
	set(&l.Retry, 3*time.Second)
	return l
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
	defer func() { err = errors.Join(err, x.finish()) }()
	return x.carryOut(lease.Context())
}

// run is one Run under its Lease.
type run struct {
	*Restorer
	op     cluster.Operation
	lease  *cluster.Lease
	plan   Plan
	record catalog.Record
	limits Limits

	sts     *appsv1.StatefulSet
	journal *Journal
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

// finish removes what the operation has made for itself, and gives the Lease back.
func (x *run) finish() error {
	ctx, cancel := context.WithTimeout(x.lease.Kept(), time.Minute)
	defer cancel()
	var err error
	if x.lease.Lost() == nil {
		_, err = x.Cluster.Cleanup(ctx, x.op)
	}
	return errors.Join(err, x.lease.Release(ctx))
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

// settleInterrupted puts back, or completes, a restore that was killed. One that is put back leaves its journal and
// the StatefulSet at 0 replicas, so that no pod starts on the old data only to be ended again.
func (x *run) settleInterrupted(ctx context.Context) error {
	journal, err := readJournal(ctx, x.Cluster, x.op)
	if err != nil || journal == nil {
		return err
	}
	x.Reporter.Note(fmt.Sprintf("restore %s was interrupted in phase %q", journal.Operation, journal.Phase))
	x.journal = journal
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil {
		return err
	}
	x.limits = x.Limits.withDefaults(sts)
	if journal.Phase == PhaseResume {
		_, err := x.complete(ctx)
		if err != nil {
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
	x.Reporter.Note(fmt.Sprintf("scaling %s/%s from %d to 0 replicas", x.op.Namespace, x.op.StatefulSet, x.journal.Replicas))
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

// create makes the new claims.
func (x *run) create(ctx context.Context) error {
	for _, v := range x.plan.Volumes {
		claim := v.manifest.DeepCopy()
		claim.Annotations[annotationOperation] = x.op.ID
		if _, err := x.Cluster.CreateFinalClaim(ctx, claim); err != nil {
			return err
		}
		x.Reporter.Volume(Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: StageWait})
	}
	return nil
}

// fill writes the data, one volume after the other.
func (x *run) fill(ctx context.Context) error {
	if err := x.journal.enter(ctx, x.Cluster, x.op, PhaseFill); err != nil {
		return err
	}
	target := Target{
		Operation: x.op, StatefulSet: x.sts,
		Source: x.plan.SourceNamespace + "/" + x.plan.SourceStatefulSet + "@" + x.plan.RecoveryPoint,
	}
	for _, v := range x.plan.Volumes {
		began := x.Now()
		progress := Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: StagePrepare}
		x.Reporter.Volume(progress)
		result, err := x.Filler.Fill(ctx, target, v, func(p Progress) {
			p.Ordinal, p.Claim = v.Ordinal, v.Claim
			progress = p
			x.Reporter.Volume(p)
		})
		if err == nil {
			err = check(v, result)
		}
		if err != nil {
			progress.Stage, progress.Error = StageFailed, err.Error()
			x.Reporter.Volume(progress)
			return fmt.Errorf("restore claim %s/%s: %w", x.op.Namespace, v.Claim, err)
		}
		progress.Stage = StageDone
		progress.Data = archive.Progress{Files: result.Files, Bytes: result.Bytes, TotalFiles: result.Files, TotalBytes: result.Bytes}
		x.Reporter.Volume(progress)
		x.report.Volumes = append(x.report.Volumes, Restored{
			Ordinal: v.Ordinal, Claim: v.Claim, RepositorySnapshot: result.RepositorySnapshot,
			Files: result.Files, Bytes: result.Bytes, Duration: x.Now().Sub(began),
		})
	}
	return nil
}

// check compares what was written with what the record says was saved.
func check(v Volume, result archive.Result) error {
	switch {
	case result.ProblemCount > 0 || len(result.Problems) > 0:
		text := fmt.Sprintf("%d entries could not be written", max(result.ProblemCount, len(result.Problems)))
		for _, problem := range result.Problems {
			text += fmt.Sprintf("; %s: %s", problem.Path, problem.Reason)
		}
		return errors.New(text)
	case result.RepositorySnapshot != v.RepositorySnapshot:
		return fmt.Errorf("the mover restored repository snapshot %q instead of %q", result.RepositorySnapshot, v.RepositorySnapshot)
	case result.Files != v.Files || result.Bytes != v.Bytes:
		return fmt.Errorf("the mover wrote %d files of %d bytes, and the recovery point holds %d files of %d bytes",
			result.Files, result.Bytes, v.Files, v.Bytes)
	}
	return nil
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
	clean, cancel := context.WithTimeout(x.lease.Kept(), time.Minute)
	defer cancel()
	sts, err := x.complete(clean)
	if err != nil {
		return Report{}, fmt.Errorf("all data is restored, but the StatefulSet could not be scaled up: %w; run \"stsbackup restore %s/%s\" again, or \"kubectl -n %s scale statefulset %s --replicas=%d\"",
			err, x.op.Namespace, x.op.StatefulSet, x.op.Namespace, x.op.StatefulSet, x.journal.ReplicasAfter)
	}
	x.Reporter.Note(fmt.Sprintf("all volumes are complete; waiting for %d pods to become Ready", x.journal.ReplicasAfter))
	readyErr := x.Cluster.AwaitReady(ctx, sts, x.limits.Ready)
	// Whatever the pods do now, the restore is done: its journal must not undo what they have written since.
	clean, cancel = context.WithTimeout(x.lease.Kept(), time.Minute)
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

func (x *run) fillReport(ctx context.Context) {
	now := x.Now()
	x.report.Namespace, x.report.StatefulSet = x.op.Namespace, x.op.StatefulSet
	x.report.RecoveryPoint, x.report.Replicas = x.plan.RecoveryPoint, x.journal.ReplicasAfter
	x.report.Duration, x.report.Downtime = now.Sub(x.began), now.Sub(x.down)
	for _, v := range x.journal.Volumes {
		if v.Displaced == nil || v.Displaced.Volume == "" {
			continue
		}
		displaced := DisplacedVolume{Claim: v.Claim, Volume: v.Displaced.Volume}
		if volume, err := x.Cluster.Volume(ctx, v.Displaced.Volume); err == nil && volume != nil {
			displaced.Free = cluster.FreeCommand(volume)
		}
		x.report.Displaced = append(x.report.Displaced, displaced)
	}
}

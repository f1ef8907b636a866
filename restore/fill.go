package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// Filler writes one volume's data into its new claim. Its methods return only when nothing uses the claim any
// more, even when ctx has ended or they fail.
type Filler interface {
	// Admit asks, as a dry run, whether the objects that Fill makes for these volumes would be admitted. It
	// returns the denials, and the pods about which it has asked.
	Admit(ctx context.Context, target Target, volumes []Volume) (denials []cluster.Denial, pods []corev1.Pod, err error)
	// Fill fails if the volume is not empty. Only leftovers of an earlier, unfinished Fill may be there.
	Fill(ctx context.Context, target Target, v Volume, progress func(report.Progress)) (archive.Result, error)
	// Probe fails if movers cannot do their work, so that Fill would fail for every volume. It touches no volume.
	Probe(ctx context.Context, target Target, volumes []Volume) error
	// TakeBack removes from the volume what a Fill has written, complete or not. It fails if there is anything else.
	TakeBack(ctx context.Context, target Target, v JournalVolume) error
}

// Target is what a Filler may need to know about the StatefulSet that is being restored.
type Target struct {
	Operation   cluster.Operation
	StatefulSet *appsv1.StatefulSet
	// Cluster is the cluster's UID.
	Cluster string
	// Source is the recovery point as namespace/statefulset@id.
	Source string
	// Resumes are the ids of the operations on the same StatefulSet whose unfinished work may be removed.
	Resumes []string
}

// resumes are the names that the movers of these operations use for themselves.
func (t *Target) resumes() []string {
	var marks []string
	for _, id := range t.Resumes {
		op := t.Operation
		op.ID = id
		marks = append(marks, op.MoverMark(t.Cluster))
	}
	return marks
}

// create makes the new claims.
func (x *run) create(ctx context.Context) error {
	for i := range x.plan.Volumes {
		v := &x.plan.Volumes[i]
		j := x.journal.find(v.Claim)
		claim, err := x.createClaim(ctx, v, j)
		if err != nil {
			return err
		}
		if j.Made != claim.UID {
			j.State, j.Made, j.MadeVolume, j.Filled = StateMade, claim.UID, "", false
			j.SourceClaim, j.RepositorySnapshot, j.Spare = v.SourceClaim, v.RepositorySnapshot, v.Spare
		}
		if v.brings == nil {
			x.Reporter.Volume(report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StageWait})
			continue
		}
		if err := x.Cluster.AwaitBound(ctx, x.op.Claim(v.Claim), v.Brings, x.limits.Claim); err != nil {
			return err
		}
		j.State, j.MadeVolume = StateChecked, v.brings.VolumeUID
		x.Reporter.Note(fmt.Sprintf("volume %s is bound to claim %s again", v.Brings, v.Claim))
	}
	return x.enter(ctx, PhaseFill)
}

// createAttempts bounds how often we free a claim's name that somebody takes again. The controller takes it if
// the StatefulSet is scaled up meanwhile, although its pods wait.
const createAttempts = 10

// createClaim makes one claim, unless it exists already.
func (x *run) createClaim(ctx context.Context, v *Volume, j *JournalVolume) (*corev1.PersistentVolumeClaim, error) {
	claim := v.manifest.DeepCopy()
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	claim.Annotations[annotationOperation] = x.journal.Operation
	for range createAttempts {
		live, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
		if err != nil {
			return nil, err
		}
		// A claim that setAside has left there, or whose creation got no answer.
		if live != nil && x.journal.created(j, live) && live.DeletionTimestamp == nil && (j.State != StateHandedOver || j.Brings != nil) {
			return live, nil
		}
		if err := x.stillHeld(ctx); err != nil {
			return nil, err
		}
		if live != nil {
			if err := x.scaleToZero(ctx); err != nil {
				return nil, err
			}
			if err := x.clear(ctx, j); err != nil {
				return nil, err
			}
		}
		if v.brings != nil {
			err = x.Cluster.RebindVolume(ctx, *v.brings)
		} else {
			err = x.Cluster.Unreserve(ctx, x.op.Claim(v.Claim))
		}
		if err != nil {
			return nil, err
		}
		created, err := x.Cluster.CreateFinalClaim(ctx, claim)
		if err == nil {
			return created, nil
		}
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		// The claim may exist although no answer came.
		if live, readErr := x.Cluster.Claim(ctx, x.op.Claim(v.Claim)); readErr == nil && live != nil && x.journal.created(j, live) &&
			live.DeletionTimestamp == nil {
			return live, nil
		}
		return nil, err
	}
	return nil, fmt.Errorf(
		"create claim %s/%s: somebody makes one of that name again and again (is the StatefulSet scaled up all the time?): %w",
		x.op.Namespace,
		v.Claim,
		cluster.ErrChanged,
	)
}

// parallel is how many ordinals to fill at once.
func (r *Restorer) parallel() int {
	if r.Parallel < 1 {
		return 2
	}
	return r.Parallel
}

// fill writes the data: the volumes of one ordinal in turn, and several ordinals at once.
func (x *run) fill(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(x.parallel())
	results := make([]Restored, len(x.plan.Volumes))
	for _, ordinal := range x.plan.Ordinals() {
		group.Go(func() error {
			for i := range x.plan.Volumes {
				if v := &x.plan.Volumes[i]; v.Ordinal == ordinal && v.brings == nil {
					var err error
					if results[i], err = x.fillVolume(ctx, v); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	x.report.Volumes = slices.DeleteFunc(results, func(r Restored) bool { return r.Claim == "" })
	return nil
}

// fillVolume writes one volume's data, unless an earlier run has done so and nobody has written to the volume since.
func (x *run) fillVolume(ctx context.Context, v *Volume) (Restored, error) {
	j := x.journal.find(v.Claim)
	restored := Restored{Ordinal: v.Ordinal, Claim: v.Claim, RepositorySnapshot: v.RepositorySnapshot, Files: v.Files, Bytes: v.Bytes}
	progress := report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StagePrepare}
	if j.State == StateChecked && j.RepositorySnapshot == v.RepositorySnapshot {
		progress.Stage, progress.Data = report.StageDone, archive.Progress{
			Files: v.Files, Bytes: v.Bytes, TotalFiles: v.Files, TotalBytes: v.Bytes,
		}
		x.Reporter.Volume(progress)
		x.Reporter.Note(fmt.Sprintf("claim %s is complete already", v.Claim))
		return restored, nil
	}
	if err := x.stillHeld(ctx); err != nil {
		return restored, err
	}
	began := x.Now()
	x.Reporter.Volume(progress)
	if err := x.prepareSpare(ctx, v, j); err != nil {
		return restored, err
	}
	result, err := x.Filler.Fill(ctx, x.target(x.sts), *v, func(p report.Progress) {
		p.Ordinal, p.Claim = v.Ordinal, v.Claim
		progress = p
		x.Reporter.Volume(p)
	})
	if err == nil {
		err = check(*v, result)
	}
	if err == nil {
		err = x.checked(ctx, v, j)
	}
	if err != nil {
		err = x.interfered(ctx, v, err)
		progress.Stage, progress.Error = report.StageFailed, err.Error()
		x.Reporter.Volume(progress)
		return restored, fmt.Errorf("restore claim %s/%s: %w", x.op.Namespace, v.Claim, err)
	}
	for _, warning := range result.Warnings {
		x.Reporter.Warn("claim " + v.Claim + " is restored, but " + warning)
	}
	progress.Stage = report.StageDone
	progress.Data = archive.Progress{Files: result.Files, Bytes: result.Bytes, TotalFiles: result.Files, TotalBytes: result.Bytes}
	x.Reporter.Volume(progress)
	restored.RepositorySnapshot, restored.Files, restored.Bytes = result.RepositorySnapshot, result.Files, result.Bytes
	restored.Duration = x.Now().Sub(began)
	return restored, nil
}

// interfered explains why a volume could not be filled: it returns failed, or says that somebody has let pods run
// meanwhile. In that case the mover's message, that the volume is not empty and how to empty it, would be wrong advice: the
// volume may hold what the pods have written.
func (x *run) interfered(ctx context.Context, v *Volume, failed error) error {
	sts, err := x.Cluster.StatefulSet(ctx, x.op.Namespace, x.op.StatefulSet)
	if err != nil || ctx.Err() != nil || errors.Is(failed, cluster.ErrChanged) {
		return failed
	}
	_, runs := x.noneRuns(ctx, sts)
	ran := sts.Generation != x.journal.Held && strings.Contains(failed.Error(), archive.ErrNotOurs.Error()) // and a pod has run, and has ended
	if runs != nil && !errors.Is(runs, cluster.ErrChanged) || runs == nil && !ran {
		return failed
	}
	what := "somebody has changed it in the middle of the restore (has applied its manifest?)"
	if replicas := cluster.Replicas(sts); replicas > 0 {
		what = fmt.Sprintf(
			"somebody has scaled it to %d replicas in the middle of the restore (a person, an autoscaler, a GitOps tool?)",
			replicas,
		)
	}
	if runs != nil {
		what += "; " + strings.TrimSuffix(runs.Error(), ": "+cluster.ErrChanged.Error())
	}
	x.Reporter.Note(fmt.Sprintf("claim %s could not be filled: %v", v.Claim, failed))
	return fmt.Errorf("%s: %s: %w; find out who did, and restore again when that is over", x.op.Object(), what, cluster.ErrChanged)
}

// prepareSpare enters into the journal that a mover is about to write to an empty volume that people made. It
// first removes what an earlier run has left on that volume.
func (x *run) prepareSpare(ctx context.Context, v *Volume, j *JournalVolume) error {
	if v.Spare == "" {
		return nil
	}
	if j.Filled {
		if err := x.Filler.TakeBack(ctx, x.target(x.sts), *j); err != nil {
			return fmt.Errorf("empty volume %s of claim %s/%s again, which an interrupted run has filled: %w", v.Spare, x.op.Namespace, v.Claim, err)
		}
	}
	return x.mark(ctx, j, func(j *JournalVolume) { j.Filled = true })
}

// checked enters into the journal that a volume is complete.
func (x *run) checked(ctx context.Context, v *Volume, j *JournalVolume) error {
	claim, err := x.Cluster.Claim(ctx, x.op.Claim(v.Claim))
	if err != nil {
		return err
	}
	if claim == nil || claim.UID != j.Made {
		return fmt.Errorf("somebody has replaced it while it was filled: %w", cluster.ErrChanged)
	}
	volume, err := x.Cluster.Volume(ctx, claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if !cluster.BoundTo(volume, claim) {
		return fmt.Errorf("it is not bound to a volume: %w", cluster.ErrChanged)
	}
	return x.mark(ctx, j, func(j *JournalVolume) {
		j.State, j.MadeVolume = StateChecked, volume.UID
	})
}

func (x *run) target(sts *appsv1.StatefulSet) Target {
	return Target{
		Operation: x.op, StatefulSet: sts, Cluster: x.uid, Source: cmp.Or(x.journal.Source, x.plan.source()), Resumes: x.journal.operations(),
	}
}

// source is the recovery point as namespace/statefulset@id.
func (p *Plan) source() string {
	return p.SourceNamespace + "/" + p.SourceStatefulSet + "@" + p.RecoveryPoint
}

// check compares what the mover wrote with what, by the record, was saved.
func check(v Volume, result archive.Result) error {
	switch {
	case result.ProblemCount > 0 || len(result.Problems) > 0:
		text := fmt.Sprintf("%d entries could not be written", max(result.ProblemCount, len(result.Problems)))
		for _, problem := range result.Problems {
			text += fmt.Sprintf("; %s: %s", problem.Path, problem.Reason)
		}
		return errors.New(text)
	case result.RepositorySnapshot != v.RepositorySnapshot:
		return fmt.Errorf("the mover restored repository snapshot %q instead of %q; is the image another version of stsbackup?",
			result.RepositorySnapshot, v.RepositorySnapshot)
	case result.Files != v.Files || result.Bytes != v.Bytes:
		return fmt.Errorf("the mover wrote %d files of %d bytes, and the recovery point holds %d files of %d bytes; "+
			"check it with \"stsbackup verify\", then restore again, or restore another recovery point",
			result.Files, result.Bytes, v.Files, v.Bytes)
	}
	return nil
}

package backup

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// move copies the volumes into the repository: in their order, as many at once as was asked for. What one has used is
// removed while others are copied.
func (r *run) move(ctx context.Context) error {
	var tidying sync.WaitGroup
	defer tidying.Wait()
	var group errgroup.Group
	group.SetLimit(max(1, r.request.Parallel))
	for _, v := range r.volumes {
		if v.saved.Error == "" {
			r.faults.left++
		}
	}
	for _, v := range r.volumes {
		if v.saved.Error != "" {
			continue
		}
		// This waits until fewer than the limit are being copied.
		group.Go(func() error { return r.moveVolume(ctx, &tidying, v) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.faults.whole(r.op.Object())
}

// moveVolume copies one volume. That it fails is noted in v; the error says that the operation has ended.
func (r *run) moveVolume(ctx context.Context, tidying *sync.WaitGroup, v *volumeRun) error {
	stopped := func() error {
		return fmt.Errorf("move claim %s/%s: %w", r.op.Namespace, v.Claim, context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return stopped()
	}
	if common := r.faults.begin(); common != nil {
		v.notTried(common)
		if v.Capture == catalog.CaptureSnapshot {
			tidying.Go(func() { r.dropVolumeSnapshot(ctx, v) })
		}
		return nil
	}
	var result archive.Result
	var err error
	if v.Capture == catalog.CaptureSnapshot {
		result, err = r.moveSnapshot(ctx, tidying, v)
	} else {
		result, err = r.runMover(ctx, v, v.Claim)
	}
	if ctx.Err() != nil {
		return stopped()
	}
	if err != nil {
		r.failed(ctx, v, err)
		return nil
	}
	r.faults.ok()
	note(&v.saved, result)
	r.Reporter.Volume(Progress{
		Ordinal: v.Ordinal, Claim: v.Claim, Stage: StageDone,
		Data: archive.Progress{Files: result.Files, Bytes: result.Bytes, TotalFiles: result.Files, TotalBytes: result.Bytes},
	})
	return nil
}

// note puts what a mover has saved into the record. The mover bounds how many entries it names.
func note(saved *catalog.Volume, result archive.Result) {
	saved.RepositorySnapshot = result.RepositorySnapshot
	saved.Files, saved.Bytes, saved.Stored = result.Files, result.Bytes, result.BytesStored
	saved.ProblemCount = max(result.ProblemCount, len(result.Problems))
	for _, problem := range result.Problems {
		saved.Problems = append(saved.Problems, problem.Path+": "+problem.Reason)
	}
	saved.ChangeCount = max(result.ChangeCount, len(result.Changes))
	for _, change := range result.Changes {
		saved.Changes = append(saved.Changes, change.Text())
	}
}

// moveSnapshot copies a volume from its VolumeSnapshot, through a temporary claim, and has both removed.
func (r *run) moveSnapshot(ctx context.Context, tidying *sync.WaitGroup, v *volumeRun) (archive.Result, error) {
	r.at(v, StagePrepare)
	var claim *corev1.PersistentVolumeClaim
	defer tidying.Go(func() {
		if claim != nil {
			r.dropClaim(ctx, claim)
			r.uses.add(&r.uses.claims, -1)
		}
		r.dropVolumeSnapshot(ctx, v)
	})
	cut, err := r.Cluster.AwaitVolumeSnapshot(ctx, r.op.Namespace, v.volumeSnapshot.Name, cluster.CutReady, r.cutLimits(v))
	if err != nil {
		return archive.Result{}, err
	}
	temporary := cluster.TemporaryClaim(r.op, v.Ordinal, v.Template, v.object, v.volumeSnapshot.Name, cut.Size)
	if claim, err = r.Cluster.CreateClaim(ctx, r.op, temporary, r.uses.anyClaims); err != nil {
		return archive.Result{}, err
	}
	r.uses.add(&r.uses.claims, 1)
	return r.runMover(ctx, v, claim.Name)
}

// dropClaim removes a temporary claim. A failure is told, and tried again at the end.
func (r *run) dropClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) {
	clean, cancel := cluster.WithLimit(context.WithoutCancel(ctx), cleanupWithin+requestsWithin)
	defer cancel()
	if err := r.Cluster.DeleteTemporaryClaim(clean, claim, r.removing()); err != nil {
		r.Reporter.Note("warning: " + err.Error())
	}
}

// runMover copies a volume by a mover that mounts the given claim.
func (r *run) runMover(ctx context.Context, v *volumeRun, mount string) (archive.Result, error) {
	r.at(v, StagePrepare)
	progress := &moverProgress{reporter: r.Reporter, state: Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: StagePrepare}}
	begun := r.Now()
	task := moverOf(r.request, r.op, r.inventory.Cluster, &v.Volume, mount)
	task.Busy = r.uses.anyMovers
	ran := 0
	task.Waiting = func(reason string) {
		if reason == "" && ran == 0 {
			begun, ran = r.Now(), 1
			r.uses.add(&r.uses.movers, 1)
		}
		progress.waiting(reason)
	}
	output, err := r.Cluster.RunMover(ctx, r.request.Mover, task, progress.line)
	r.uses.add(&r.uses.movers, -ran)
	if v.Capture == catalog.CaptureLive {
		v.saved.Cut = begun.UTC()
	}
	result, untidy, failed := mover.Outcome(output, err)
	if untidy != nil {
		// The data is safe, and the removal is tried again at the end.
		r.Reporter.Note("warning: " + untidy.Error())
	}
	for _, warning := range result.Warnings {
		r.Reporter.Note("warning: claim " + v.Claim + " is saved, but " + warning)
	}
	return result, failed
}

// moverOf is the mover that saves a volume, which mounts the given claim.
func moverOf(request Request, op cluster.Operation, clusterUID string, v *Volume, mount string) cluster.Mover {
	return cluster.Mover{
		Operation: op,
		Name:      op.VolumeName(v.Ordinal, v.Template),
		Ordinal:   v.Ordinal,
		Claim:     v.Claim,
		Mount:     mount,
		ReadOnly:  true,
		Args:      moverArgs(request, op, clusterUID, v).Args(),
		// To read what others may not. DAC_READ_SEARCH would say it more narrowly, but the Pod Security level
		// "baseline" forbids it, and the volume is mounted read-only.
		Capabilities: []corev1.Capability{"DAC_OVERRIDE"},
		Placement:    v.placement,
	}
}

func moverArgs(request Request, op cluster.Operation, clusterUID string, v *Volume) contract.BackupArgs {
	return contract.BackupArgs{
		Common:        contract.InPod(request.Mover.Repo, op.MoverMark(clusterUID)),
		Dir:           contract.Volume,
		As:            op.Namespace + "/" + op.StatefulSet,
		Claim:         v.Claim,
		Ordinal:       int(v.Ordinal),
		RecoveryPoint: op.ID,
		// A cut is what is on the disk: it can hold a file's new data beside its old times, which reach the disk later
		// (fdatasync, lazytime). Times prove nothing there, so every file is read; what is the same is stored once.
		ForceRead:   true,
		Compression: request.Compression.String(),
		RetryLock:   request.RetryLock,
	}
}

// moverProgress turns a mover's log lines into Progress. Lines and waits come from different goroutines.
type moverProgress struct {
	reporter Reporter
	mu       sync.Mutex
	state    Progress
}

func (p *moverProgress) waiting(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Waiting = reason
	if reason == "" {
		p.state.Stage = StageMove
	}
	p.reporter.Volume(p.state)
}

// line takes one line of the log. What is no progress is for people who read the log.
func (p *moverProgress) line(text []byte) {
	if reason := mover.Waiting(text); reason != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.state.Stage, p.state.Waiting = StagePrepare, reason
		p.reporter.Volume(p.state)
		return
	}
	data, ok := mover.Progress(text)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Stage, p.state.Waiting, p.state.Data = StageMove, "", data
	p.reporter.Volume(p.state)
}

package backup

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// move copies the volumes into the repository: in their order, and as many at once as the user asked for. It
// removes what one volume has used while others are copied.
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
		// Go waits until fewer volumes than the limit are being copied.
		group.Go(func() error { return r.moveVolume(ctx, &tidying, v) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.faults.whole(r.op.Object())
}

// moveVolume copies one volume. If that fails, it notes the failure in v; its error says that the operation has
// ended. It releases what the volume's capture holds in either case.
func (r *run) moveVolume(ctx context.Context, tidying *sync.WaitGroup, v *volumeRun) error {
	stopped := func() error {
		return fmt.Errorf("move claim %s/%s: %w", r.op.Namespace, v.Claim, context.Cause(ctx))
	}
	if ctx.Err() != nil {
		return stopped()
	}
	release := func() { r.capturer.Release(ctx, v.captured) }
	if common := r.faults.begin(); common != nil {
		v.notTried(common)
		tidying.Go(release)
		return nil
	}
	saved, err := r.save(ctx, v)
	tidying.Go(release) // before a probe tests what a failure means, which may take minutes
	if ctx.Err() != nil {
		return stopped()
	}
	if err != nil {
		r.failed(ctx, v, err)
		return nil
	}
	r.faults.ok()
	note(&v.saved, saved.Result)
	r.Reporter.Volume(report.Progress{
		Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StageDone,
		Data: archive.Progress{Files: saved.Files, Bytes: saved.Bytes, TotalFiles: saved.Files, TotalBytes: saved.Bytes},
	})
	return nil
}

// save reads a volume from its capture's source.
func (r *run) save(ctx context.Context, v *volumeRun) (Saved, error) {
	r.at(v, report.StagePrepare)
	source, err := r.capturer.Source(ctx, v.captured)
	if err != nil {
		return Saved{}, err
	}
	// A volume that was not cut has its state from when reading began.
	asked := r.Now()
	var begun atomic.Pointer[time.Time]
	saved, err := r.Saver.Save(ctx, r.target(), &v.Volume, source, func(p report.Progress) {
		if p.Stage.Moving() {
			begun.CompareAndSwap(nil, new(r.Now()))
		}
		r.Reporter.Volume(p)
	})
	if v.captured.Cut.IsZero() {
		v.saved.Cut = cmp.Or(begun.Load(), &asked).UTC()
	}
	if saved.Untidy != nil {
		// The data is safe, and the cleanup at the end tries the removal again.
		r.Reporter.Warn(saved.Untidy.Error())
	}
	for _, warning := range saved.Warnings {
		r.Reporter.Warn("claim " + v.Claim + " is saved, but " + warning)
	}
	return saved, err
}

// target is what the Saver needs to know about the backup.
func (r *run) target() Target {
	return Target{Operation: r.op, Cluster: r.inventory.Cluster, Request: &r.request, Note: r.Reporter.Note}
}

// note puts what a mover has saved into the record. The mover limits how many entries it names.
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

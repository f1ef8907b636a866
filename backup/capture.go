package backup

import (
	"context"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// capture takes the cuts of all volumes that are captured by a VolumeSnapshot, one right after the other.
func (r *run) capture(ctx context.Context) error {
	for _, v := range r.volumes {
		if v.saved.Error != "" { // missing, or denied
			r.Reporter.Volume(report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StageFailed, Error: v.saved.Error})
			continue
		}
		if v.Capture != catalog.CaptureSnapshot {
			r.at(v, report.StageWait)
			continue
		}
		r.at(v, report.StageCapture)
		if err := r.cut(ctx, v); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("capture claim %s/%s: %w", r.op.Namespace, v.Claim, context.Cause(ctx))
			}
			r.fail(v, err)
			r.dropVolumeSnapshot(ctx, v)
			continue
		}
		r.at(v, report.StageWait)
	}
	return nil
}

// cut makes one VolumeSnapshot and waits until the volume's state is fixed.
func (r *run) cut(ctx context.Context, v *volumeRun) error {
	made, err := r.Cluster.CreateVolumeSnapshot(ctx, r.op, v.Ordinal, v.Template, v.Claim, v.SnapshotClass)
	if err != nil {
		return err
	}
	v.volumeSnapshot = made
	cut, err := r.Cluster.AwaitVolumeSnapshot(ctx, r.op.Namespace, made.Name, cluster.CutTaken, r.cutLimits(v))
	if err != nil {
		return err
	}
	v.taken = r.Now()
	v.saved.Cut = cut.Time.UTC()
	return nil
}

// cutLimits bound the waits for a volume's VolumeSnapshot. All are cut before the first is moved, and the storage copies them at the same
// time: so each has its time from its own cut, and those that never get ready take one such time together.
func (r *run) cutLimits(v *volumeRun) cluster.CutLimits {
	return cluster.CutLimits{Patience: r.request.SnapshotTimeout, Ready: r.request.SnapshotReadyTimeout, Since: v.taken}
}

// dropVolumeSnapshot removes a VolumeSnapshot as soon as it is of no more use: it costs storage. A failure is told, and
// tried again at the end.
func (r *run) dropVolumeSnapshot(ctx context.Context, v *volumeRun) {
	if v.volumeSnapshot == nil {
		return
	}
	clean, cancel := cluster.WithLimit(context.WithoutCancel(ctx), cleanupWithin+requestsWithin)
	defer cancel()
	if err := r.Cluster.DeleteVolumeSnapshot(clean, v.volumeSnapshot, r.removing()); err != nil {
		r.Reporter.Warn(err.Error())
		return
	}
	v.volumeSnapshot = nil
}

package backup

import (
	"context"

	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/internal/report"
)

// capture fixes the state of all volumes to save. It returns when the last of them is fixed.
func (r *run) capture(ctx context.Context) error {
	r.capturer = &capture.Capturer{
		Cluster: r.Cluster, Operation: r.op, Now: r.Now, Patience: r.request.SnapshotTimeout, Ready: r.request.SnapshotReadyTimeout,
		Removing: r.removing(), Warn: r.Reporter.Warn,
	}
	var volumes []*capture.Captured
	of := map[*capture.Captured]*volumeRun{}
	for _, v := range r.volumes {
		if v.saved.Error != "" { // missing, or denied
			r.Reporter.Volume(report.Progress{Ordinal: v.Ordinal, Claim: v.Claim, Stage: report.StageFailed, Error: v.saved.Error})
			continue
		}
		v.captured = &capture.Captured{Volume: v.source, Choice: v.choice}
		volumes, of[v.captured] = append(volumes, v.captured), v
	}
	return r.capturer.Cut(ctx, volumes, func(captured *capture.Captured, stage report.Stage) {
		if stage == report.StageFailed {
			r.fail(of[captured], captured.Err)
			return
		}
		of[captured].saved.Cut = captured.Cut
		r.at(of[captured], stage)
	})
}

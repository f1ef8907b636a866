package main

import (
	"fmt"

	"github.com/stsbackup/stsbackup/restore"
)

// restoreReporter shows a restore under way.
type restoreReporter struct {
	printer volumePrinter
}

func newRestoreReporter(a *app, output outputFlag, plan *restore.Plan) *restoreReporter {
	var claims []string
	for _, v := range plan.Volumes {
		claims = append(claims, v.Claim)
	}
	return &restoreReporter{printer: newVolumePrinter(a, output, claims)}
}

// Note prints the message.
func (r *restoreReporter) Note(message string) { r.printer.note(message) }

// Volume prints what has changed.
func (r *restoreReporter) Volume(p restore.Progress) {
	r.printer.volume(volumeLine{
		claim: p.Claim, stage: string(p.Stage), text: restoreStageText(p), data: p.Data, value: p,
		moving: p.Stage == restore.StageFill, done: p.Stage == restore.StageDone, failed: p.Stage == restore.StageFailed,
	})
}

func (r *restoreReporter) close() { r.printer.close() }

// restoreStageText says in a few words where a volume is.
func restoreStageText(p restore.Progress) string {
	switch p.Stage {
	case restore.StageWait:
		return "waiting for its turn"
	case restore.StagePrepare:
		if p.Waiting != "" {
			return "the mover waits: " + p.Waiting
		}
		return "preparing the mover"
	case restore.StageFill:
		if p.Data.Bytes == 0 {
			return "restoring"
		}
		return fmt.Sprintf("restoring, %s in %s so far", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case restore.StageDone:
		return fmt.Sprintf("restored, %s in %s", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case restore.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

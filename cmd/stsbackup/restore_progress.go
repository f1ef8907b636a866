package main

import (
	"fmt"

	"github.com/stsbackup/stsbackup/internal/report"

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

// Warn prints the message as a warning.
func (r *restoreReporter) Warn(message string) { r.printer.note("warning: " + message) }

// Phase prints nothing: the notes and the volumes say it.
func (r *restoreReporter) Phase(report.Phase) {}

// Volume prints what has changed.
func (r *restoreReporter) Volume(p report.Progress) {
	r.printer.volume(volumeLine{
		claim: p.Claim, stage: string(p.Stage), text: restoreStageText(p), data: p.Data, value: p,
		moving: p.Stage.Moving(), done: p.Stage == report.StageDone, failed: p.Stage == report.StageFailed,
	})
}

func (r *restoreReporter) close() { r.printer.close() }

// restoreStageText says in a few words where a volume is.
func restoreStageText(p report.Progress) string {
	switch p.Stage {
	case report.StageWait:
		return "waiting for its turn"
	case report.StagePrepare:
		if p.Waiting != "" {
			return "the mover waits: " + p.Waiting
		}
		return "preparing the mover"
	case report.StageFill:
		if p.Data.Bytes == 0 {
			return "restoring"
		}
		return fmt.Sprintf("restoring, %s in %s so far", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case report.StageDone:
		return fmt.Sprintf("restored, %s in %s", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case report.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

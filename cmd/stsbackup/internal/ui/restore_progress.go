package ui

import (
	"fmt"

	"github.com/stsbackup/stsbackup/restore"
)

// Restore shows a restore under way. After Close nothing is drawn any more, and the result can be printed.
type Restore struct {
	printer volumePrinter
}

// NewRestore shows on a screen how a plan is carried out.
func NewRestore(screen Screen, plan *restore.Plan) *Restore {
	var claims []string
	for _, v := range plan.Volumes {
		claims = append(claims, v.Claim)
	}
	return &Restore{printer: newVolumePrinter(screen, claims)}
}

// Note prints the message.
func (r *Restore) Note(message string) { r.printer.note(message) }

// Volume prints what has changed.
func (r *Restore) Volume(p restore.Progress) {
	r.printer.volume(volumeLine{
		claim: p.Claim, stage: string(p.Stage), text: restoreStageText(p), data: p.Data, value: p,
		moving: p.Stage == restore.StageFill, done: p.Stage == restore.StageDone, failed: p.Stage == restore.StageFailed,
	})
}

// Close ends what is drawn.
func (r *Restore) Close() { r.printer.close() }

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
		return fmt.Sprintf("restoring, %s in %s so far", Bytes(p.Data.Bytes), Files(p.Data.Files))
	case restore.StageDone:
		return fmt.Sprintf("restored, %s in %s", Bytes(p.Data.Bytes), Files(p.Data.Files))
	case restore.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

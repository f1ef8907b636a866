package ui

import (
	"cmp"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/report"
)

// operation shows a running backup or restore; it is the Reporter of both. After Close it draws nothing any more, and
// the caller can print the result.
type operation struct {
	printer volumePrinter
	// copying and copied say what happens to a volume's data.
	copying, copied string
	// sizes are the sizes of the volumes by claim, if known: until the mover counts its bytes, the upper bound of what
	// there is to copy.
	sizes map[string]int64
	// line returns what to print as JSON about a volume's progress.
	line func(report.Progress) any
}

// Phase prints nothing: the notes and the volumes already show it.
func (o *operation) Phase(report.Phase) {}

// Note prints the message.
func (o *operation) Note(message string) { o.printer.note(message) }

// Warn prints the message as a warning.
func (o *operation) Warn(message string) { o.printer.note("warning: " + message) }

// Volume prints what has changed.
func (o *operation) Volume(p report.Progress) {
	data := p.Data
	data.TotalBytes = cmp.Or(data.TotalBytes, o.sizes[p.Claim])
	o.printer.volume(volumeLine{
		claim: p.Claim, stage: string(p.Stage), text: o.text(p), data: data, value: o.line(p),
		moving: p.Stage.Moving(), done: p.Stage == report.StageDone, failed: p.Stage == report.StageFailed,
	})
}

// Close stops drawing.
func (o *operation) Close() { o.printer.close() }

// text says in a few words how far a volume is.
func (o *operation) text(p report.Progress) string {
	switch p.Stage {
	case report.StageCapture:
		return "taking a VolumeSnapshot"
	case report.StageWait:
		return "waiting for its turn"
	case report.StagePrepare:
		if p.Waiting != "" {
			return "the mover waits: " + p.Waiting
		}
		return "preparing the mover"
	case report.StageMove, report.StageFill:
		if p.Data.Bytes == 0 {
			return o.copying
		}
		return fmt.Sprintf("%s, %s in %s so far", o.copying, Bytes(p.Data.Bytes), Files(p.Data.Files))
	case report.StageDone:
		return fmt.Sprintf("%s, %s in %s", o.copied, Bytes(p.Data.Bytes), Files(p.Data.Files))
	case report.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

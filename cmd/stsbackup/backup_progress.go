package main

import (
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/internal/report"

	"github.com/stsbackup/stsbackup/backup"
)

// backupReporter shows a backup under way. After close nothing is drawn any more, and the result can be printed.
type backupReporter struct {
	app     *app
	target  target
	output  outputFlag
	dryRun  bool
	printer volumePrinter
	// sizes are the volumes', by claim: the most there can be to copy, as long as nobody knows better.
	sizes map[string]int64
}

func newBackupReporter(a *app, output outputFlag, dryRun bool, t target) *backupReporter {
	return &backupReporter{app: a, output: output, dryRun: dryRun, target: t, printer: newVolumePrinter(a, output, nil)}
}

// backupLine is a volume's progress as JSON: of several StatefulSets, claims may have the same name.
type backupLine struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	report.Progress
}

// planned prints the plan: as the result of a dry run, else for a person. JSON on standard error is lines of progress.
// If it cannot be printed, nothing else can be, either.
func (r *backupReporter) planned(plan *backup.Plan) {
	var out io.Writer
	switch {
	case r.dryRun:
		out = r.app.out
	case r.output == outputText:
		out = r.app.err
	default:
		return
	}
	_ = printPlan(out, r.output, plan)
	if r.output == outputText {
		fmt.Fprintln(out)
	}
	var claims []string
	r.sizes = map[string]int64{}
	for _, volume := range plan.Volumes {
		claims = append(claims, volume.Claim)
		r.sizes[volume.Claim] = volume.Size
	}
	r.printer = newVolumePrinter(r.app, r.output, claims)
}

// Phase prints nothing: the volumes say it.
func (r *backupReporter) Phase(report.Phase) {}

// Note prints the message.
func (r *backupReporter) Note(message string) { r.printer.note(message) }

// Warn prints the message as a warning.
func (r *backupReporter) Warn(message string) { r.printer.note("warning: " + message) }

// Volume prints what has changed.
func (r *backupReporter) Volume(p report.Progress) {
	data := p.Data
	if data.TotalBytes == 0 {
		data.TotalBytes = r.sizes[p.Claim]
	}
	r.printer.volume(volumeLine{
		claim:  p.Claim,
		stage:  string(p.Stage),
		text:   backupStageText(p),
		data:   data,
		value:  backupLine{r.target.namespace, r.target.statefulSet, p},
		moving: p.Stage.Moving(),
		done:   p.Stage == report.StageDone,
		failed: p.Stage == report.StageFailed,
	})
}

func (r *backupReporter) close() { r.printer.close() }

// backupStageText says in a few words where a volume is.
func backupStageText(p report.Progress) string {
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
	case report.StageMove:
		if p.Data.Bytes == 0 {
			return "copying"
		}
		return fmt.Sprintf("copying, %s in %s so far", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case report.StageDone:
		return fmt.Sprintf("saved, %s in %s", humanBytes(p.Data.Bytes), countFiles(p.Data.Files))
	case report.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

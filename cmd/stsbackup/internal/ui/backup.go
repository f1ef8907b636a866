package ui

import (
	"fmt"
	"io"
	"strconv"

	"github.com/stsbackup/stsbackup/backup"
)

// WriteBackupPlan writes what a backup is going to do.
func WriteBackupPlan(w io.Writer, output Format, plan *backup.Plan) error {
	if output == JSON {
		return WriteJSON(w, plan)
	}
	fmt.Fprintf(w, "Backup of %s/%s:\n\n", plan.Namespace, plan.StatefulSet)
	rows := [][]string{{"ORDINAL", "CLAIM", "SIZE", "CAPTURE", "WHY"}}
	var missing []string
	for _, volume := range plan.Volumes {
		row := []string{strconv.Itoa(int(volume.Ordinal)), volume.Claim}
		if volume.Missing != "" {
			rows = append(rows, append(row, "-", "none", volume.Missing))
			missing = append(missing, fmt.Sprintf("claim %s: %s", volume.Claim, volume.Missing))
			continue
		}
		if volume.Denied != "" {
			rows = append(rows, append(row, Bytes(volume.Size), "none", "not admitted"))
			missing = append(missing, fmt.Sprintf("claim %s: %s", volume.Claim, volume.Denied))
			continue
		}
		rows = append(rows, append(row, Bytes(volume.Size), string(volume.Capture), volume.Why))
	}
	if err := WriteTable(w, rows); err != nil {
		return err
	}
	printNotIn(w, missing, plan.LeftOut)
	return nil
}

// Backup shows a backup under way. After Close nothing is drawn any more, and the result can be printed.
type Backup struct {
	screen  Screen
	printer volumePrinter
	// namespace and statefulSet are of what is backed up, for programs: of several StatefulSets, claims may have the same name.
	namespace, statefulSet string
	// plan is where the plan is written as a result; nil unless nothing but the plan is wanted.
	plan io.Writer
	// sizes are the volumes', by claim: the most there can be to copy, as long as nobody knows better.
	sizes map[string]int64
}

// NewBackup shows the backup of a StatefulSet on a screen. After a dry run the plan is the result, and is written to plan;
// plan is nil where there is none.
func NewBackup(screen Screen, namespace, statefulSet string, plan io.Writer) *Backup {
	return &Backup{screen: screen, namespace: namespace, statefulSet: statefulSet, plan: plan, printer: newVolumePrinter(screen, nil)}
}

// backupLine is a volume's progress as JSON: of several StatefulSets, claims may have the same name.
type backupLine struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	backup.Progress
}

// Planned prints the plan: as the result of a dry run, else for a person. JSON on standard error is lines of progress.
// If it cannot be printed, nothing else can be, either.
func (r *Backup) Planned(plan *backup.Plan) {
	var out io.Writer
	switch {
	case r.plan != nil:
		out = r.plan
	case r.screen.Format == Text:
		out = r.screen.Out
	default:
		return
	}
	_ = WriteBackupPlan(out, r.screen.Format, plan)
	if r.screen.Format == Text {
		fmt.Fprintln(out)
	}
	var claims []string
	r.sizes = map[string]int64{}
	for _, volume := range plan.Volumes {
		claims = append(claims, volume.Claim)
		r.sizes[volume.Claim] = volume.Size
	}
	r.printer = newVolumePrinter(r.screen, claims)
}

// Phase prints nothing: the volumes say it.
func (r *Backup) Phase(backup.Phase) {}

// Note prints the message.
func (r *Backup) Note(message string) { r.printer.note(message) }

// Volume prints what has changed.
func (r *Backup) Volume(p backup.Progress) {
	data := p.Data
	if data.TotalBytes == 0 {
		data.TotalBytes = r.sizes[p.Claim]
	}
	r.printer.volume(volumeLine{
		claim:  p.Claim,
		stage:  string(p.Stage),
		text:   backupStageText(p),
		data:   data,
		value:  backupLine{r.namespace, r.statefulSet, p},
		moving: p.Stage == backup.StageMove,
		done:   p.Stage == backup.StageDone,
		failed: p.Stage == backup.StageFailed,
	})
}

// Close ends what is drawn.
func (r *Backup) Close() { r.printer.close() }

// backupStageText says in a few words where a volume is.
func backupStageText(p backup.Progress) string {
	switch p.Stage {
	case backup.StageCapture:
		return "taking a VolumeSnapshot"
	case backup.StageWait:
		return "waiting for its turn"
	case backup.StagePrepare:
		if p.Waiting != "" {
			return "the mover waits: " + p.Waiting
		}
		return "preparing the mover"
	case backup.StageMove:
		if p.Data.Bytes == 0 {
			return "copying"
		}
		return fmt.Sprintf("copying, %s in %s so far", Bytes(p.Data.Bytes), Files(p.Data.Files))
	case backup.StageDone:
		return fmt.Sprintf("saved, %s in %s", Bytes(p.Data.Bytes), Files(p.Data.Files))
	case backup.StageFailed:
		return "FAILED: " + p.Error
	default:
		return string(p.Stage)
	}
}

package ui

import (
	"fmt"
	"io"
	"strconv"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/report"
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
	operation
	screen Screen
	// plan is where the plan is written as a result; nil unless nothing but the plan is wanted.
	plan io.Writer
}

// NewBackup shows the backup of a StatefulSet on a screen. After a dry run the plan is the result, and is written to plan;
// plan is nil where there is none.
func NewBackup(screen Screen, namespace, statefulSet string, plan io.Writer) *Backup {
	return &Backup{screen: screen, plan: plan, operation: operation{
		printer: newVolumePrinter(screen, nil), copying: "copying", copied: "saved",
		line: func(p report.Progress) any { return backupLine{namespace, statefulSet, p} },
	}}
}

// backupLine is a volume's progress as JSON: of several StatefulSets, claims may have the same name.
type backupLine struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	report.Progress
}

// Planned prints the plan: as the result of a dry run, else for a person. JSON on standard error is lines of progress.
// If it cannot be printed, nothing else can be, either.
func (b *Backup) Planned(plan *backup.Plan) {
	var out io.Writer
	switch {
	case b.plan != nil:
		out = b.plan
	case b.screen.Format == Text:
		out = b.screen.Out
	default:
		return
	}
	_ = WriteBackupPlan(out, b.screen.Format, plan)
	if b.screen.Format == Text {
		fmt.Fprintln(out)
	}
	var claims []string
	b.sizes = map[string]int64{}
	for _, volume := range plan.Volumes {
		claims = append(claims, volume.Claim)
		b.sizes[volume.Claim] = volume.Size
	}
	b.printer = newVolumePrinter(b.screen, claims)
}

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

// Backup shows a running backup. After Close it draws nothing any more, and the caller can print the result.
type Backup struct {
	operation
	screen Screen
	// plan is where to write the plan as a result; nil unless the plan is all that the caller wants.
	plan io.Writer
}

// NewBackup shows the backup of a StatefulSet on a screen. After a dry run the plan is the result, and NewBackup writes
// it to plan; otherwise plan is nil.
func NewBackup(screen Screen, namespace, statefulSet string, plan io.Writer) *Backup {
	return &Backup{screen: screen, plan: plan, operation: operation{
		printer: newVolumePrinter(screen, nil), copying: "copying", copied: "saved",
		line: func(p report.Progress) any { return backupLine{namespace, statefulSet, p} },
	}}
}

// backupLine is a volume's progress as JSON. It names the StatefulSet, because claims of several StatefulSets may have
// the same name.
type backupLine struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	report.Progress
}

// Planned prints the plan: as the result of a dry run, or else for a person. A program that reads JSON gets only lines
// of progress on standard error. Planned ignores a failure to print: printing anything else would then fail too.
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

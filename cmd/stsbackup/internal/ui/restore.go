package ui

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// WriteRestorePlan writes what a restore will do.
func WriteRestorePlan(w io.Writer, output Format, plan *restore.Plan) error {
	if output == JSON {
		return WriteJSON(w, plan)
	}
	from := "this cluster"
	if !plan.SameCluster {
		from = "another cluster, " + plan.SourceCluster
	}
	state := ""
	if plan.State != catalog.StateComplete {
		state = ", " + string(plan.State)
	}
	switch {
	case plan.Interrupted != "" && plan.Way != restore.WayResume && len(plan.Steps) == 0,
		plan.Way == restore.WayPutBack,
		plan.Way == restore.WayKeep,
		plan.Completes():
		fmt.Fprintf(w, "%s/%s: %s\n\n", plan.Namespace, plan.StatefulSet, Plain(plan.Interrupted))
	case plan.RecoveryPoint == "", plan.Kind == restore.KindUndo && len(plan.Volumes) == 0: // the refusals say everything
	case plan.Kind == restore.KindUndo:
		fmt.Fprintf(
			w,
			"Undo %s of %s/%s, which set its volumes aside %s\n\n",
			plan.RecoveryPoint,
			plan.Namespace,
			plan.StatefulSet,
			Time(plan.Started),
		)
	default:
		fmt.Fprintf(w, "Restore %s/%s to recovery point %s (begun %s%s), made of %s/%s in %s\n\n",
			plan.Namespace, plan.StatefulSet, plan.RecoveryPoint, Time(plan.Started), state,
			plan.SourceNamespace, plan.SourceStatefulSet, from)
	}
	if err := printPlanVolumes(w, plan); err != nil {
		return err
	}
	for i, step := range plan.Steps {
		fmt.Fprintf(w, "%2d. %s\n", i+1, step)
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintf(w, "\nNote: %s", Plain(warning))
	}
	if len(plan.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	return nil
}

// printPlanVolumes writes what the restore does about each claim.
func printPlanVolumes(w io.Writer, plan *restore.Plan) error {
	if len(plan.Volumes) == 0 {
		return nil
	}
	stay := plan.AsksForWay() || plan.Way == restore.WayKeep || plan.Completes()
	filled := plan.Kind == restore.KindRestore && plan.Way != restore.WayPutBack && !stay
	rows := [][]string{{"ORDINAL", "CLAIM", "NOW", "THEN", "DATA OF", "FILES", "BYTES"}}
	switch {
	case stay: // nothing happens to them, or a person has yet to decide
		rows[0] = rows[0][:3]
	case !filled:
		rows[0] = rows[0][:4]
	}
	for _, v := range plan.Volumes {
		row := []string{strconv.Itoa(int(v.Ordinal)), v.Claim, presentText(v.Present), futureText(v, filled)}
		if filled {
			row = append(row, Time(v.Cut), strconv.FormatInt(v.Files, 10), Bytes(v.Bytes))
		}
		rows = append(rows, row[:min(len(row), len(rows[0]))])
	}
	if err := WriteTable(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return nil
}

// presentText says what exists now under a claim's name.
func presentText(p restore.Present) string {
	switch p.State {
	case restore.PresentBound:
		return p.Volume + " (kept)"
	case restore.PresentLost:
		return "volume lost"
	case restore.PresentUnbound:
		return "no volume"
	case restore.PresentMade:
		return strings.TrimSpace(p.Volume + " (of the interrupted restore)")
	default:
		return "no claim"
	}
}

// futureText says which kind of volume replaces it.
func futureText(v restore.Volume, filled bool) string {
	switch {
	case v.Brings != "":
		return v.Brings
	case !filled:
		return Printable(v.Present.Fate)
	case v.Spare != "":
		return v.Spare
	case v.Class == "":
		return Bytes(v.Size)
	default:
		return fmt.Sprintf("new, %s, class %s", Bytes(v.Size), v.Class)
	}
}

// WriteRestored writes what a restore has done.
func WriteRestored(w io.Writer, output Format, report *restore.Report) error {
	if report.StatefulSet == "" {
		return nil // nothing was done
	}
	if output == JSON {
		return WriteJSON(w, report)
	}
	what, text := report.Namespace+"/"+report.StatefulSet, ""
	switch {
	case report.Kept:
		text = fmt.Sprintf("Ended the interrupted restore of %s; its pods keep what they run on", what)
	case report.PutBack:
		text = fmt.Sprintf("Put back the interrupted restore of %s in %s", what, Duration(report.Duration))
	case report.Kind == restore.KindUndo:
		text = fmt.Sprintf("Brought back the volumes of %s that %s had set aside, in %s; it was down for %s",
			what, report.RecoveryPoint, Duration(report.Duration), Duration(report.Downtime))
	default:
		text = fmt.Sprintf("Restored %s to recovery point %s in %s; it was down for %s",
			what, report.RecoveryPoint, Duration(report.Duration), Duration(report.Downtime))
	}
	fmt.Fprintf(w, "%s\n", text)
	if err := printRestoredVolumes(w, report); err != nil {
		return err
	}
	if len(report.Displaced) == 0 {
		return nil
	}
	kept := "The old volumes"
	if report.Kind == restore.KindUndo {
		kept = "The volumes that the undo replaced"
	}
	// discard without the operation would free what earlier operations have set aside too.
	fmt.Fprintf(w, "\n%[1]s are kept: \"stsbackup undo %[2]s\" brings them back, and \"stsbackup discard %[2]s --operation %[3]s\" "+
		"frees them. To free one by hand:\n", kept, what, report.Operation)
	for _, d := range report.Displaced {
		fmt.Fprintf(w, "  %s  # was %s\n", d.Free, d.Claim)
	}
	return nil
}

// printRestoredVolumes writes which volumes there are now.
func printRestoredVolumes(w io.Writer, report *restore.Report) error {
	if len(report.Volumes) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	rows := [][]string{{"ORDINAL", "CLAIM", "VOLUME", "FILES", "BYTES", "TOOK"}}
	if report.Kind == restore.KindUndo { // it copies nothing: zeros would look like empty volumes
		rows[0] = rows[0][:3]
	}
	for _, v := range report.Volumes {
		row := []string{
			strconv.Itoa(int(v.Ordinal)), v.Claim, v.Volume, strconv.FormatInt(v.Files, 10), Bytes(v.Bytes), Duration(v.Duration),
		}
		rows = append(rows, row[:len(rows[0])])
	}
	return WriteTable(w, rows)
}

package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// printRestorePlan writes what a restore will do.
func printRestorePlan(w io.Writer, output outputFlag, plan *restore.Plan) error {
	if output == outputJSON {
		return printJSON(w, plan)
	}
	from := "this cluster"
	if !plan.SameCluster {
		from = "another cluster, " + plan.SourceCluster
	}
	state := ""
	if plan.State != catalog.StateComplete {
		state = ", " + string(plan.State)
	}
	fmt.Fprintf(w, "Restore %s/%s to recovery point %s (begun %s%s), made of %s/%s in %s\n\n",
		plan.Namespace, plan.StatefulSet, plan.RecoveryPoint, humanTime(plan.Started), state,
		plan.SourceNamespace, plan.SourceStatefulSet, from)
	if len(plan.Volumes) > 0 {
		rows := [][]string{{"ORDINAL", "CLAIM", "NOW", "THEN", "DATA OF", "FILES", "BYTES"}}
		for _, v := range plan.Volumes {
			rows = append(rows, []string{
				strconv.Itoa(int(v.Ordinal)), v.Claim, presentText(v.Present), futureText(v),
				humanTime(v.Cut), strconv.FormatInt(v.Files, 10), humanBytes(v.Bytes),
			})
		}
		if err := table(w, rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	for i, step := range plan.Steps {
		fmt.Fprintf(w, "%2d. %s\n", i+1, step)
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintf(w, "\nNote: %s", plain(warning))
	}
	if len(plan.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	return nil
}

// presentText says what there is now under a claim's name.
func presentText(p restore.Present) string {
	switch p.State {
	case restore.PresentBound:
		return p.Volume + " (kept)"
	case restore.PresentLost:
		return "volume lost"
	case restore.PresentUnbound:
		return "no volume"
	default:
		return "no claim"
	}
}

// futureText says what kind of volume takes its place.
func futureText(v restore.Volume) string {
	switch {
	case v.Spare != "":
		return v.Spare
	case v.Class == "":
		return humanBytes(v.Size)
	default:
		return fmt.Sprintf("new, %s, class %s", humanBytes(v.Size), v.Class)
	}
}

// printRestored writes what a restore has done.
func printRestored(w io.Writer, output outputFlag, report *restore.Report) error {
	if output == outputJSON {
		return printJSON(w, report)
	}
	fmt.Fprintf(w, "Restored %s/%s to recovery point %s in %s; it was down for %s\n\n",
		report.Namespace, report.StatefulSet, report.RecoveryPoint, humanDuration(report.Duration), humanDuration(report.Downtime))
	rows := [][]string{{"ORDINAL", "CLAIM", "VOLUME", "FILES", "BYTES", "TOOK"}}
	for _, v := range report.Volumes {
		rows = append(rows, []string{
			strconv.Itoa(int(v.Ordinal)), v.Claim, v.Volume, strconv.FormatInt(v.Files, 10), humanBytes(v.Bytes), humanDuration(v.Duration),
		})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	if len(report.Displaced) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nThe old volumes are kept. To give one up:\n")
	for _, d := range report.Displaced {
		fmt.Fprintf(w, "  %s  # was %s\n", d.Free, d.Claim)
	}
	return nil
}

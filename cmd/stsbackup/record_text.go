package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// printJSON writes a result as JSON.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printRecord writes one recovery point.
func printRecord(w io.Writer, output outputFlag, record catalog.Record) error {
	if output == outputJSON {
		return printJSON(w, record)
	}
	fmt.Fprintf(w, "Recovery point %s of %s/%s: %s\n", record.ID, record.Namespace, record.StatefulSet, record.State)
	fmt.Fprintf(w, "  begun %s, took %s; %s from the first cut to the last; cluster %s\n\n",
		humanTime(record.Started), humanDuration(record.Finished.Sub(record.Started)), humanDuration(record.Skew), record.Cluster)
	rows := [][]string{{"ORDINAL", "CLAIM", "CAPTURE", "CUT", "FILES", "BYTES", "STORED"}}
	for _, volume := range record.Volumes {
		row := []string{strconv.Itoa(int(volume.Ordinal)), volume.Claim, string(volume.Capture), humanTime(volume.Cut)}
		if volume.Error != "" {
			row = append(row, "not saved")
		} else {
			row = append(row, strconv.FormatInt(volume.Files, 10), humanBytes(volume.Bytes), humanBytes(volume.Stored))
		}
		rows = append(rows, row)
	}
	if err := table(w, rows); err != nil {
		return err
	}
	printMissing(w, record)
	return nil
}

// printMissing names what is not in a recovery point.
func printMissing(w io.Writer, record catalog.Record) {
	var lines []string
	for _, volume := range record.Volumes {
		if volume.Error != "" {
			lines = append(lines, fmt.Sprintf("claim %s: %s", volume.Claim, volume.Error))
		}
		for _, problem := range volume.Problems {
			lines = append(lines, fmt.Sprintf("claim %s: %s", volume.Claim, problem))
		}
		if more := volume.ProblemCount - len(volume.Problems); more > 0 && volume.Error == "" {
			lines = append(lines, fmt.Sprintf("claim %s: %d more entries", volume.Claim, more))
		}
	}
	printNotIn(w, lines, record.LeftOut)
}

func printNotIn(w io.Writer, lines []string, leftOut []catalog.LeftOut) {
	for _, left := range leftOut {
		lines = append(lines, fmt.Sprintf("%s: %s", left.What, left.Why))
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\nNOT in this backup:")
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", plain(line))
	}
}

// printPlan writes what a backup is going to do.
func printPlan(w io.Writer, output outputFlag, plan *backup.Plan) error {
	if output == outputJSON {
		return printJSON(w, plan)
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
		rows = append(rows, append(row, humanBytes(volume.Size), string(volume.Capture), volume.Why))
	}
	if err := table(w, rows); err != nil {
		return err
	}
	printNotIn(w, missing, plan.LeftOut)
	return nil
}

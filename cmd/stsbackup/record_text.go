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
	printChanged(w, record)
	return nil
}

// printChanged names the files that were changed while they were read.
func printChanged(w io.Writer, record catalog.Record) {
	var lines []string
	for _, volume := range record.Volumes {
		lines = append(lines, named(volume.Claim, volume.Changes, volume.ChangeCount, "files")...)
	}
	section(w, "Changed while the backup read them, and saved as they were found:", lines)
}

// named gives a line to each text about a claim, and one to those that are counted and not named.
func named(claim string, texts []string, count int, what string) (lines []string) {
	for _, text := range texts {
		lines = append(lines, fmt.Sprintf("claim %s: %s", claim, text))
	}
	if more := count - len(texts); more > 0 {
		lines = append(lines, fmt.Sprintf("claim %s: %d more %s", claim, more, what))
	}
	return lines
}

// section writes lines that may hold anything under a heading, if there are any.
func section(w io.Writer, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", heading)
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", plain(line))
	}
}

// printMissing names what is not in a recovery point.
func printMissing(w io.Writer, record catalog.Record) {
	var lines []string
	for _, volume := range record.Volumes {
		if volume.Error != "" {
			lines = append(lines, fmt.Sprintf("claim %s: %s", volume.Claim, volume.Error))
			continue
		}
		lines = append(lines, named(volume.Claim, volume.Problems, volume.ProblemCount, "entries")...)
	}
	printNotIn(w, lines, record.LeftOut)
}

func printNotIn(w io.Writer, lines []string, leftOut []catalog.LeftOut) {
	for _, left := range leftOut {
		lines = append(lines, fmt.Sprintf("%s: %s", left.What, left.Why))
	}
	section(w, "NOT in this backup:", lines)
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
		if volume.Denied != "" {
			rows = append(rows, append(row, humanBytes(volume.Size), "none", "not admitted"))
			missing = append(missing, fmt.Sprintf("claim %s: %s", volume.Claim, volume.Denied))
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

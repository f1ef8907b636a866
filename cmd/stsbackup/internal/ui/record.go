package ui

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// WriteRecords lists recovery points.
func WriteRecords(w io.Writer, output Format, records []catalog.Record, now time.Time) error {
	if output == JSON {
		if records == nil {
			records = []catalog.Record{}
		}
		return WriteJSON(w, records)
	}
	rows := [][]string{{"STATEFULSET", "RECOVERY POINT", "STATE", "AGE", "ORDINALS", "VOLUMES", "BYTES", "STORED"}}
	for _, record := range records {
		var bytes, stored int64
		saved := 0
		for _, volume := range record.Volumes {
			bytes, stored = bytes+volume.Bytes, stored+volume.Stored
			if volume.Error == "" {
				saved++
			}
		}
		rows = append(rows, []string{
			record.Namespace + "/" + record.StatefulSet, string(record.ID), string(record.State),
			Duration(now.Sub(record.Started)),
			ordinals(record),
			fmt.Sprintf("%d/%d", saved, len(record.Volumes)), Bytes(bytes), Bytes(stored),
		})
	}
	return WriteTable(w, rows)
}

// ordinals writes which ordinals a recovery point has: 0-2.
func ordinals(record catalog.Record) string {
	first, last := record.OrdinalsStart, record.OrdinalsStart+record.Replicas-1
	if first >= last {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// WriteRecord writes one recovery point.
func WriteRecord(w io.Writer, output Format, record catalog.Record) error {
	if output == JSON {
		return WriteJSON(w, record)
	}
	fmt.Fprintf(w, "Recovery point %s of %s/%s: %s\n", record.ID, record.Namespace, record.StatefulSet, record.State)
	fmt.Fprintf(w, "  begun %s, took %s; %s from the first cut to the last; cluster %s\n\n",
		Time(record.Started), Duration(record.Finished.Sub(record.Started)), Duration(record.Skew), record.Cluster)
	rows := [][]string{{"ORDINAL", "CLAIM", "CAPTURE", "CUT", "FILES", "BYTES", "STORED"}}
	for _, volume := range record.Volumes {
		row := []string{strconv.Itoa(int(volume.Ordinal)), volume.Claim, string(volume.Capture), Time(volume.Cut)}
		if volume.Error != "" {
			row = append(row, "not saved")
		} else {
			row = append(row, strconv.FormatInt(volume.Files, 10), Bytes(volume.Bytes), Bytes(volume.Stored))
		}
		rows = append(rows, row)
	}
	if err := WriteTable(w, rows); err != nil {
		return err
	}
	printMissing(w, record)
	printChanged(w, record)
	return nil
}

// printChanged names the files that somebody changed while the backup read them.
func printChanged(w io.Writer, record catalog.Record) {
	var lines []string
	for _, volume := range record.Volumes {
		lines = append(lines, named(volume.Claim, volume.Changes, volume.ChangeCount, "files")...)
	}
	section(w, "Changed while the backup read them, and saved as they were found:", lines)
}

// named returns a line for each text about a claim, and one line for those that are only counted, not named.
func named(claim string, texts []string, count int, what string) (lines []string) {
	for _, text := range texts {
		lines = append(lines, fmt.Sprintf("claim %s: %s", claim, text))
	}
	if more := count - len(texts); more > 0 {
		lines = append(lines, fmt.Sprintf("claim %s: %d more %s", claim, more, what))
	}
	return lines
}

// section writes lines of any content below a heading; it writes nothing if there are no lines.
func section(w io.Writer, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", heading)
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", Plain(line))
	}
}

// printMissing names what a recovery point does not contain.
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

// WriteManifests writes manifests as YAML documents with their names, or as JSON keyed by name.
func WriteManifests(w io.Writer, output Format, manifests map[string][]byte) error {
	if output == JSON {
		texts := map[string]string{}
		for name, text := range manifests {
			texts[name] = string(text)
		}
		return WriteJSON(w, texts)
	}
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		_, err := fmt.Fprintf(w, "---\n# %s\n%s\n", name, strings.TrimRight(PlainLines(string(manifests[name])), "\n"))
		if err != nil {
			return err
		}
	}
	return nil
}

package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// Kept is what the rules have decided for one StatefulSet, and what forget has done.
type Kept struct {
	upkeep.KeepResult
	// Error is empty if forget has done everything.
	Error string `json:"error,omitempty"`
}

// WriteKept writes what the rules have decided for StatefulSets; it writes to notes what forget has done about it.
func WriteKept(w, notes io.Writer, output Format, results []Kept, now time.Time) error {
	if output == JSON {
		if results == nil {
			results = []Kept{}
		}
		return WriteJSON(w, results)
	}
	rows := [][]string{{"STATEFULSET", "RECOVERY POINT", "STATE", "AGE", "VERDICT", "REASONS"}}
	for _, result := range results {
		for _, point := range result.Points {
			verdict, age := "remove", "-"
			if point.Keep {
				verdict = "keep"
			}
			if !point.Time.IsZero() {
				age = Duration(now.Sub(point.Time))
			}
			rows = append(rows, []string{
				result.Namespace + "/" + result.StatefulSet,
				Printable(string(point.ID)),
				string(point.State),
				age,
				verdict,
				strings.Join(point.Reasons, ", "),
			})
		}
	}
	if len(rows) > 1 {
		if err := WriteTable(w, rows); err != nil {
			return err
		}
	}
	for _, result := range results {
		writeKeptNote(notes, result)
	}
	return nil
}

// writeKeptNote says what forget has done to one StatefulSet's recovery points.
func writeKeptNote(notes io.Writer, result Kept) {
	name := result.Namespace + "/" + result.StatefulSet
	switch {
	case result.DryRun && len(result.Points) > 0:
		fmt.Fprintf(notes, "Nothing was removed for %s: this was a dry run.\n", name)
	case len(result.Forgotten) > 0:
		fmt.Fprintf(
			notes,
			"Removed %d recovery points of %s; \"stsbackup prune %s\" frees what only they needed.\n",
			len(result.Forgotten),
			name,
			name,
		)
	case result.Error == "":
		fmt.Fprintf(notes, "There was nothing to remove for %s.\n", name)
	}
}

// WriteForgotten writes which recovery points of a StatefulSet forget has removed, or would remove without --dry-run.
func WriteForgotten(w io.Writer, output Format, of catalog.Name, forgotten []catalog.Forgotten, dryRun bool) error {
	if output == JSON {
		if forgotten == nil {
			return nil
		}
		return WriteJSON(w, forgotten)
	}
	verb := "forgot"
	if dryRun {
		verb = "would forget"
	}
	for _, point := range forgotten {
		what := "recovery point"
		if !point.Recorded {
			what = "what was left of recovery point"
		}
		fmt.Fprintf(w, "%s %s %s of %s (%d volumes)\n", verb, what, Printable(string(point.ID)), of, point.Volumes)
	}
	return nil
}

// WriteForgetQuestion writes what a person is asked to agree to.
func WriteForgetQuestion(w io.Writer, question upkeep.Question) {
	for _, point := range question.Forgotten {
		fmt.Fprintf(w, "To forget: recovery point %s of %s (%d volumes)\n", Printable(string(point.ID)), question.StatefulSet, point.Volumes)
	}
	switch {
	case !question.Known:
		fmt.Fprintf(w, "stsbackup cannot read the recovery points of %s, so it does not know what would be left.\n", question.StatefulSet)
	case question.Last:
		fmt.Fprintf(w, "No complete recovery point of %s would be left to restore from.\n", question.StatefulSet)
	default:
		fmt.Fprintf(w, "%d complete recovery points of %s would be left.\n", question.Left, question.StatefulSet)
	}
}

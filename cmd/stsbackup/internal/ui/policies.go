package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/scheduler/service"
)

// WritePolicies writes what a policy file means for the StatefulSets of a cluster; it writes to notes what concerns
// none of them.
func WritePolicies(w, notes io.Writer, output Format, result service.Checked) error {
	if output == JSON {
		return WriteJSON(w, result)
	}
	rows := [][]string{{"STATEFULSET", "POLICY", "NEXT RUNS", "NOTES"}}
	for _, set := range result.StatefulSets {
		var runs []string
		for _, at := range set.NextRuns {
			runs = append(runs, at.Format(time.RFC3339))
		}
		name := set.Namespace + "/" + set.StatefulSet
		rows = append(rows, []string{name, OrDash(set.Policy), OrDash(strings.Join(runs, " ")), OrDash(policyNotes(set))})
	}
	if len(rows) > 1 {
		if err := WriteTable(w, rows); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(notes, "There are no StatefulSets.")
	}
	for _, use := range result.Policies {
		if use.StatefulSets == 0 {
			fmt.Fprintf(notes, "Policy %s applies to none of these StatefulSets.\n", use.Name)
		}
	}
	return nil
}

// policyNotes says why a StatefulSet has this policy, if that is not obvious.
func policyNotes(s service.AssignedStatefulSet) string {
	var notes []string
	switch {
	case s.Problem != "":
		return "PROBLEM: " + Plain(s.Problem)
	case s.Policy == "" && s.Annotated:
		return "by its annotation"
	case s.Policy == "":
		return "no policy selects it"
	case s.Annotated:
		notes = append(notes, "by its annotation")
	case len(s.AlsoSelectedBy) > 0:
		notes = append(notes, "also selected by "+strings.Join(s.AlsoSelectedBy, ", ")+": the first in the file decides")
	}
	if s.Nothing != "" {
		notes = append(notes, "nothing to back up: "+s.Nothing)
	}
	if s.Suspended {
		notes = append(notes, "suspended")
	}
	return strings.Join(notes, "; ")
}

package ui

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
)

// WriteDisplaced lists volumes that were set aside, and volumes that only carry the marks of that.
func WriteDisplaced(w io.Writer, output Format, volumes []displaced.Volume) error {
	if output == JSON {
		if volumes == nil {
			volumes = []displaced.Volume{}
		}
		return WriteJSON(w, volumes)
	}
	rows := [][]string{{"ORDINAL", "CLAIM", "VOLUME", "SIZE", "CLASS", "SET ASIDE", "BY", "WHY", "NOW"}}
	for i := range volumes {
		v := &volumes[i]
		rows = append(rows, []string{
			ordinalText(v), v.Namespace + "/" + v.Claim, v.Name, Bytes(v.Size), OrDash(v.Class),
			Time(v.At), OrDash(Plain(v.By)), string(v.Why), nowText(v),
		})
	}
	if len(rows) == 1 {
		return nil
	}
	if err := WriteTable(w, rows); err != nil {
		return err
	}
	for _, v := range volumes {
		if v.Problem != "" {
			fmt.Fprintf(w, "\nNote: somebody has changed the marks on %s: %s\n", v.Name, Plain(v.Problem))
		}
	}
	return nil
}

// ordinalText is the ordinal, or "-" if the claim belongs to no StatefulSet.
func ordinalText(v *displaced.Volume) string {
	if v.StatefulSet == "" {
		return "-"
	}
	return strconv.Itoa(int(v.Ordinal))
}

// nowText says what is bound under the claim's name now, or what has happened to the volume itself.
func nowText(v *displaced.Volume) string {
	switch v.State {
	case displaced.StateBound:
		return "bound again, not set aside"
	case displaced.StateReserved:
		return "reserved for its claim"
	case displaced.StateGoing:
		return "being deleted"
	case displaced.StateFree:
		return "any claim may take it"
	default:
		return OrDash(v.Now)
	}
}

// WriteDiscardPlan writes what discard would free.
func WriteDiscardPlan(w io.Writer, output Format, plan *displaced.Plan, now time.Time) error {
	if output == JSON {
		return WriteJSON(w, plan)
	}
	name := plan.Namespace + "/" + plan.StatefulSet
	switch {
	case len(plan.Volumes) == 0 && len(plan.Refusals) > 0:
		return nil // the refusals say everything
	case len(plan.Volumes) == 0:
		fmt.Fprintf(w, "There is nothing to free for %s.\n", name)
	default:
		were := "were"
		if len(plan.Volumes) == 1 {
			were = "was"
		}
		fmt.Fprintf(w, "Free %s of %s that %s set aside (%s):\n\n", Volumes(len(plan.Volumes)), name, were, Bytes(plan.Bytes))
		rows := [][]string{{"ORDINAL", "CLAIM", "VOLUME", "SIZE", "CLASS", "AGE", "SET ASIDE BY", "WHY", "THEN"}}
		for i := range plan.Volumes {
			v := &plan.Volumes[i].Volume
			rows = append(rows, []string{
				ordinalText(v),
				v.Claim,
				v.Name,
				Bytes(v.Size),
				OrDash(v.Class),
				Age(v.At, now),
				OrDash(Plain(v.By)),
				string(v.Why),
				Plain(plan.Volumes[i].Fate),
			})
		}
		if err := WriteTable(w, rows); err != nil {
			return err
		}
	}
	for _, left := range plan.Left {
		fmt.Fprintf(w, "\n%s (claim %s) stays as it is: %s.", left.Name, left.Claim, Plain(left.Because))
	}
	if len(plan.Left) > 0 {
		fmt.Fprintln(w)
	}
	return nil
}

// WriteDiscarded writes what discard has freed.
func WriteDiscarded(w io.Writer, report *displaced.Report) {
	name := report.Namespace + "/" + report.StatefulSet
	if len(report.Freed) == 0 {
		if len(report.Failed) == 0 {
			fmt.Fprintf(w, "Nothing was freed for %s.\n", name)
		}
		return
	}
	fmt.Fprintf(w, "Freed %s of %s (%s):\n", Volumes(len(report.Freed)), name, Bytes(report.Bytes))
	for _, v := range report.Freed {
		fmt.Fprintf(w, "  %s (claim %s, %s): %s\n", v.Name, v.Claim, Bytes(v.Size), Plain(v.Fate))
	}
}

package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// Packs counts the packs that are read, on one line; it is nil where no person watches.
func (s Screen) Packs() func(packs, total int) {
	if s.Format != Text || !s.Terminal {
		return nil
	}
	return func(packs, total int) { fmt.Fprintf(s.Out, "\r%d of %d packs read", packs, total) }
}

// WritePruned writes what was removed; notes takes advice.
func WritePruned(w, notes io.Writer, r *upkeep.PruneResult) {
	would := ""
	if r.DryRun {
		would = "would be "
	}
	fmt.Fprintf(
		w,
		"%d packs (%s) %sremoved: %d that nothing needs, %d that no index names, %d rewritten without unneeded data, %d small ones "+
			"merged\n",
		r.PacksRemoved+r.PacksUnindexed+r.PacksRepacked+r.PacksMerged,
		Bytes(r.BytesRemoved),
		would,
		r.PacksRemoved,
		r.PacksUnindexed,
		r.PacksRepacked,
		r.PacksMerged,
	)
	fmt.Fprintf(w, "%s %srewritten; freed in all: %s\n", Bytes(r.BytesRewritten), would, Bytes(max(r.BytesRemoved-r.BytesRewritten, 0)))
	fmt.Fprintf(w, "%[2]d repository snapshots need %[1]s; %[3]s of unneeded data stays in %[4]d packs\n",
		Bytes(r.BytesNeeded), r.Snapshots, Bytes(r.BytesUnused), r.PacksKept)
	for _, id := range r.Leftovers {
		fmt.Fprintf(notes, "Kept: the volumes of %s, which has no record. Unless its backup is running, free them with: "+
			"stsbackup forget %s/%s@%s\n", id, r.Namespace, r.StatefulSet, Printable(id))
	}
}

// Kept is what forget --keep-... has done to one StatefulSet.
type Kept struct {
	upkeep.KeepResult
	// Error is empty if all was done.
	Error string `json:"error,omitempty"`
}

// WriteKept writes what the rules said of each recovery point; notes takes what was removed.
func WriteKept(w, notes io.Writer, output Format, results []Kept, now time.Time) error {
	if output == JSON {
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
				result.Namespace + "/" + result.StatefulSet, Printable(point.ID), string(point.State), age, verdict, strings.Join(point.Reasons, ", "),
			})
		}
	}
	if len(rows) > 1 {
		if err := WriteTable(w, rows); err != nil {
			return err
		}
	}
	for _, result := range results {
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
	return nil
}

// WriteForgetQuestion writes what is about to be forgotten, and what would be left.
func WriteForgetQuestion(w io.Writer, q upkeep.Question) {
	for _, point := range q.Forgotten {
		fmt.Fprintf(w, "To forget: recovery point %s of %s (%d volumes)\n", Printable(point.ID), q.StatefulSet, point.Volumes)
	}
	switch {
	case !q.Known:
		fmt.Fprintf(w, "stsbackup cannot read the recovery points of %s, so it does not know what would be left.\n", q.StatefulSet)
	case q.Last:
		fmt.Fprintf(w, "No complete recovery point of %s would be left to restore from.\n", q.StatefulSet)
	default:
		fmt.Fprintf(w, "%d complete recovery points of %s would be left.\n", q.Left, q.StatefulSet)
	}
}

// WriteForgotten writes which recovery points have been forgotten, or with a dry run would be.
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
		fmt.Fprintf(w, "%s %s %s of %s (%d volumes)\n", verb, what, Printable(point.ID), of, point.Volumes)
	}
	return nil
}

// WriteRepaired writes what was repaired; notes takes what to do next. forgetDamaged says that repository snapshots which
// cannot be read were removed.
func WriteRepaired(w, notes io.Writer, output Format, of catalog.Name, r repository.RepairReport, forgetDamaged bool) error {
	if output == JSON {
		return WriteJSON(w, r)
	}
	would := ""
	if r.DryRun {
		would = "would be "
	}
	fmt.Fprintf(w, "%d index objects are damaged; %d packs that no index named %sindexed again\n", r.IndexesDamaged, r.PacksFound, would)
	fmt.Fprintf(w, "%d packs are damaged, %d are missing: %d pieces of them %ssaved into new packs, %d are lost\n",
		r.PacksDamaged, r.PacksMissing, r.BlobsSaved, would, r.BlobsLost)
	for _, id := range r.SnapshotsDamaged {
		state := "kept; --forget-damaged removes it"
		if forgetDamaged {
			state = would + "removed"
		}
		fmt.Fprintf(w, "repository snapshot %s is damaged: %s\n", id, state)
	}
	if r.BlobsLost > 0 {
		fmt.Fprintf(notes, "Next: stsbackup backup %s, then stsbackup verify %s, and forget what is still damaged.\n", of, of)
	}
	return nil
}

// WriteUnlocked writes which locks were removed, and which were not.
func WriteUnlocked(w io.Writer, output Format, r upkeep.UnlockResult) error {
	if output == JSON {
		return WriteJSON(w, r)
	}
	for _, holder := range r.Removed {
		fmt.Fprintf(w, "removed: %s\n", Printable(holder.String()))
	}
	for _, holder := range r.Left {
		fmt.Fprintf(w, "kept, because its holder may be alive: %s\n", Printable(holder.String()))
	}
	if len(r.Removed)+len(r.Left) == 0 {
		fmt.Fprintln(w, "There are no locks.")
	}
	return nil
}

// WriteKeys lists the keys of a repository.
func WriteKeys(w io.Writer, output Format, keys []repository.KeyInfo) error {
	if output == JSON {
		return WriteJSON(w, keys)
	}
	rows := [][]string{{"KEY", "CREATED", "HOST", "USER", "STATE"}}
	for _, key := range keys {
		state := "-"
		switch {
		case key.Damage != "":
			state = "damaged: " + Printable(key.Damage)
		case key.InUse:
			state = "in use"
		}
		rows = append(rows, []string{key.ID.Short(), Time(key.Created), Printable(key.Hostname), Printable(key.Username), state})
	}
	return WriteTable(w, rows)
}

// WriteKey writes what has been done to a key.
func WriteKey(w io.Writer, output Format, done string, id repository.ID) error {
	if output == JSON {
		return WriteJSON(w, map[string]string{done: id.String()})
	}
	_, err := fmt.Fprintf(w, "%s key %s\n", done, id.Short())
	return err
}

package ui

import (
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// WritePruned writes what a prune has done; it writes to notes what else there is to do.
func WritePruned(w, notes io.Writer, r *upkeep.PruneResult) {
	would := wouldBe(r.DryRun)
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
		fmt.Fprintf(
			notes,
			"Kept: the volumes of %s, which has no record. Unless its backup is running, free them with: stsbackup forget %s/%s@%s\n",
			id, r.Namespace, r.StatefulSet, Printable(string(id)),
		)
	}
}

// WriteRepaired writes what a repair has done; it writes to notes what to do next.
func WriteRepaired(w, notes io.Writer, output Format, request upkeep.RepairRequest, r repository.RepairReport) error {
	if output == JSON {
		return WriteJSON(w, r)
	}
	would := wouldBe(r.DryRun)
	fmt.Fprintf(w, "%d index objects are damaged; %d packs that no index named %sindexed again\n", r.IndexesDamaged, r.PacksFound, would)
	fmt.Fprintf(w, "%d packs are damaged, %d are missing: %d pieces of them %ssaved into new packs, %d are lost\n",
		r.PacksDamaged, r.PacksMissing, r.BlobsSaved, would, r.BlobsLost)
	for _, id := range r.SnapshotsDamaged {
		state := "kept; --forget-damaged removes it"
		if request.ForgetDamaged {
			state = would + "removed"
		}
		fmt.Fprintf(w, "repository snapshot %s is damaged: %s\n", id, state)
	}
	if r.BlobsLost > 0 {
		fmt.Fprintf(notes, "Next: stsbackup backup %[1]s, then stsbackup verify %[1]s, and forget what is still damaged.\n", request.StatefulSet)
	}
	return nil
}

// wouldBe begins a sentence about a dry run.
func wouldBe(dryRun bool) string {
	if dryRun {
		return "would be "
	}
	return ""
}

// WriteUnlocked writes which locks unlock has removed, and which are left.
func WriteUnlocked(w io.Writer, output Format, result upkeep.UnlockResult) error {
	if output == JSON {
		return WriteJSON(w, result)
	}
	for _, holder := range result.Removed {
		fmt.Fprintf(w, "removed: %s\n", Printable(holder.String()))
	}
	for _, holder := range result.Left {
		fmt.Fprintf(w, "kept, because its holder may be alive: %s\n", Printable(holder.String()))
	}
	if len(result.Removed)+len(result.Left) == 0 {
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

// WriteKey says what a command has done to a key.
func WriteKey(w io.Writer, output Format, done string, id repository.ID) error {
	if output == JSON {
		return WriteJSON(w, map[string]string{done: id.String()})
	}
	_, err := fmt.Fprintf(w, "%s key %s\n", done, id.Short())
	return err
}

// WritePassword writes the password of a StatefulSet's repository.
func WritePassword(w io.Writer, output Format, of catalog.Name, password repository.Secret) error {
	if output == JSON {
		return WriteJSON(w, map[string]string{"statefulSet": of.String(), "password": password.Reveal()})
	}
	_, err := fmt.Fprintln(w, password.Reveal())
	return err
}

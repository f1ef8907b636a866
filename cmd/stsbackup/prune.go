package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// maxUnused is how much unneeded data a prune leaves in packs that it would have to write anew, as a share of all data.
const maxUnused = 0.05

// pruneCommand holds the flags of stsbackup prune.
type pruneCommand struct {
	repositoryFlags
	choose chooseFlags
	lock   lockFlag
	dryRun bool
}

func newPruneCommand(a *app) *cobra.Command {
	c := &pruneCommand{}
	cmd := &cobra.Command{
		Use:   "prune [NAMESPACE/]STATEFULSET...",
		Short: "Remove data that no recovery point needs any more",
		Long: `prune removes data that no repository snapshot needs: of forgotten recovery points, and of interrupted backups. It rewrites
packs that hold both needed and unneeded data until at most 5% of the data is unneeded, and merges small packs, of which every
small backup leaves some.

prune does not begin while a backup or another command works on the repository: it waits as --retry-lock says, then gives up
with exit code 5. Once it has begun, backups may run beside it. It locks them out only at the end, while it looks at what is
new and writes a new index; a backup that begins at that moment waits.

prune removes the lock of a mover that no longer exists in the cluster. You may interrupt it at any time: nothing is lost, and
the next prune continues. It removes nothing from a damaged repository.`,
		Example: `  stsbackup prune demo/web --dry-run
  stsbackup prune demo/web
  stsbackup prune --all --all-namespaces`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.choose.oneOrChosen(cmd, &c.kube, args); err != nil {
				return err
			}
			return c.run(cmd.Context(), a, args)
		},
	}
	c.add(cmd)
	c.choose.add(cmd, allWithRepository)
	c.lock.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show what would be removed, and change nothing")
	return cmd
}

// pruneResult is what prune -o json prints.
type pruneResult struct {
	Namespace   string `json:"namespace"`
	StatefulSet string `json:"statefulSet"`
	repository.PruneReport
	// Leftovers are recovery points without a record, whose data is kept until they are forgotten.
	Leftovers []string `json:"leftovers"`
}

func (c *pruneCommand) run(ctx context.Context, a *app, args []string) error {
	for _, arg := range args {
		if err := wholeRepository(arg); err != nil {
			return err
		}
	}
	store, targets, err := c.several(ctx, a, &c.choose, args)
	if err != nil {
		return err
	}
	memory.Save(a.getenv)
	do := func(ctx context.Context, t target) (*pruneResult, error) {
		return c.upkeep(a, c.lock).prune(ctx, store, t, c.dryRun)
	}
	return each(ctx, a, c.output, targets, do, func(w io.Writer, t target, result *pruneResult) error {
		heading(w, targets, t)
		printPruned(w, a.err, t, result)
		return nil
	})
}

// prune frees what no recovery point of a StatefulSet needs.
func (u *upkeep) prune(ctx context.Context, store *location.Root, t target, dryRun bool) (*pruneResult, error) {
	points, err := store.Open(ctx, t.name())
	if err != nil {
		return nil, err
	}
	result := &pruneResult{Namespace: t.namespace, StatefulSet: t.statefulSet}
	options := repository.PruneOptions{MaxUnused: maxUnused, DryRun: dryRun, AloneOperation: u.operation}
	if err := points.Repository().Writable(); err != nil {
		return nil, fmt.Errorf("prune %s: %w", t, err)
	}
	u.waitForLocks(points)
	if u.guard != nil {
		options.Alone = func(ctx context.Context, do func(context.Context) error) error { return u.guard(ctx, points, do) }
		// Nobody is at work who would have to be waited for in the end, and what the dead have left is removed.
		if err := options.Alone(ctx, func(context.Context) error { return nil }); err != nil {
			return nil, err
		}
	}
	if result.PruneReport, err = points.Prune(ctx, options); err != nil {
		return nil, err
	}
	leftovers, err := points.Leftovers(ctx)
	result.Leftovers = append([]string{}, leftovers...)
	return result, err
}

func printPruned(w, notes io.Writer, t target, r *pruneResult) {
	would := ""
	if r.DryRun {
		would = "would be "
	}
	fmt.Fprintf(
		w,
		"%d packs (%s) %sremoved: %d that nothing needs, %d that no index names, %d rewritten without unneeded data, %d small ones "+
			"merged\n",
		r.PacksRemoved+r.PacksUnindexed+r.PacksRepacked+r.PacksMerged,
		ui.Bytes(r.BytesRemoved),
		would,
		r.PacksRemoved,
		r.PacksUnindexed,
		r.PacksRepacked,
		r.PacksMerged,
	)
	fmt.Fprintf(
		w,
		"%s %srewritten; freed in all: %s\n",
		ui.Bytes(r.BytesRewritten),
		would,
		ui.Bytes(max(r.BytesRemoved-r.BytesRewritten, 0)),
	)
	fmt.Fprintf(w, "%[2]d repository snapshots need %[1]s; %[3]s of unneeded data stays in %[4]d packs\n",
		ui.Bytes(r.BytesNeeded), r.Snapshots, ui.Bytes(r.BytesUnused), r.PacksKept)
	for _, id := range r.Leftovers {
		fmt.Fprintf(notes, "Kept: the volumes of %s, which has no record. Unless its backup is running, free them with: stsbackup forget %s@%s\n",
			id, t, ui.Printable(id))
	}
}

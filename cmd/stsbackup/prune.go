package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// maxUnused is how much unneeded data a prune leaves in packs that it would have to write anew, as a share of all data.
const maxUnused = 0.05

// pruneCommand holds the flags of stsbackup prune.
type pruneCommand struct {
	repositoryFlags
	dryRun bool
}

func newPruneCommand(a *app) *cobra.Command {
	c := &pruneCommand{}
	cmd := &cobra.Command{
		Use:   "prune [NAMESPACE/]STATEFULSET",
		Short: "Remove data that no recovery point needs any more",
		Long: `prune removes from a repository what no repository snapshot needs: after recovery points have been forgotten, and what
interrupted backups have left. Packs that hold both needed and unneeded data are written anew until at most 5% of the data
is unneeded, and small ones, of which every small backup leaves some, are merged.

It works alone: while a backup or a restore is running it is refused with exit code 5, and so is a backup while it is running.
A lock of a mover that the cluster knows to be gone is removed. It may be interrupted at any time; nothing is lost, and the next
prune goes on. It removes nothing from a damaged repository.`,
		Example: `  stsbackup prune demo/web --dry-run
  stsbackup prune demo/web`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show what would be removed, and change nothing")
	return cmd
}

// pruneResult is what prune -o json prints.
type pruneResult struct {
	repository.PruneReport
	// Leftovers are recovery points without a record, whose data is kept until they are forgotten.
	Leftovers []string `json:"leftovers"`
}

func (c *pruneCommand) run(ctx context.Context, a *app, arg string) error {
	points, err := c.openWhole(ctx, a, arg)
	if err != nil {
		return err
	}
	var report repository.PruneReport
	err = c.alone(ctx, a, points, func() (err error) {
		report, err = points.Repository().Prune(ctx, repository.PruneOptions{MaxUnused: maxUnused, DryRun: c.dryRun})
		return err
	})
	if err != nil {
		return err
	}
	leftovers, err := points.Leftovers(ctx)
	if err != nil {
		return err
	}
	if c.output == outputJSON {
		return printJSON(a.out, pruneResult{PruneReport: report, Leftovers: append([]string{}, leftovers...)})
	}
	would := ""
	if report.DryRun {
		would = "would be "
	}
	fmt.Fprintf(a.out, "%d packs (with %s) %sremoved: %d without anything that is needed, %d of no index, %d written anew without what is unneeded, %d small ones merged\n",
		report.PacksRemoved+report.PacksUnindexed+report.PacksRepacked+report.PacksMerged, humanBytes(report.BytesRemoved), would,
		report.PacksRemoved, report.PacksUnindexed, report.PacksRepacked, report.PacksMerged)
	fmt.Fprintf(a.out, "%s %swritten anew; freed in all: %s\n", humanBytes(report.BytesRewritten), would, humanBytes(max(report.BytesRemoved-report.BytesRewritten, 0)))
	fmt.Fprintf(a.out, "%s is needed by %d repository snapshots; %s of unneeded data stays in %d packs\n",
		humanBytes(report.BytesNeeded), report.Snapshots, humanBytes(report.BytesUnused), report.PacksKept)
	for _, id := range leftovers {
		fmt.Fprintf(a.err, "Kept: the volumes of %s, which has no record. Unless its backup is running, free them with: stsbackup forget %s@%s\n",
			id, points.Host(), printable(id))
	}
	return nil
}

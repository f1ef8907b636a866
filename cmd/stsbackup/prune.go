package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/upkeep"
)

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

func (c *pruneCommand) run(ctx context.Context, a *app, args []string) error {
	for _, arg := range args {
		if err := wholeRepository(arg); err != nil {
			return err
		}
	}
	u, targets, err := c.several(ctx, a, &c.choose, args, c.lock)
	if err != nil {
		return err
	}
	memory.Save(a.getenv)
	do := func(ctx context.Context, t target) (*upkeep.PruneResult, error) {
		return u.Prune(ctx, upkeep.PruneRequest{StatefulSet: t.name(), DryRun: c.dryRun})
	}
	return each(ctx, a, c.output, targets, do, func(w io.Writer, t target, result *upkeep.PruneResult) error {
		heading(w, targets, t)
		ui.WritePruned(w, a.err, result)
		return nil
	})
}

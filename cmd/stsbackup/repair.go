package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
)

// repairCommand holds the flags of stsbackup repair.
type repairCommand struct {
	repositoryFlags
	dryRun        bool
	forgetDamaged bool
	lock          lockFlag
}

func newRepairCommand(a *app) *cobra.Command {
	c := &repairCommand{}
	cmd := &cobra.Command{
		Use:   "repair [NAMESPACE/]STATEFULSET",
		Short: "Remove damaged data from a repository's index, so that the next backup stores it again",
		Long: `repair reads a whole repository and corrects its index. It puts packs back into the index that no index names, because an index
object is lost or damaged; that loses nothing. It removes damaged and missing data from the index, so that new backups no
longer rely on it. The next backup stores again what it still finds on the volumes, and so makes older recovery points whole
that need the same content.

repair works alone, as prune does. You may interrupt it at any time. It leaves recovery points as they are, damaged or not: run
"stsbackup verify" after the next backup, and forget those that are still damaged. It removes repository snapshots whose own
objects are damaged only with --forget-damaged; no recovery point can name them.

repair cannot open a repository whose object "config" or whose keys are lost: bring those back from a version or a copy of the
bucket.`,
		Example: `  stsbackup repair demo/web --dry-run
  stsbackup repair demo/web --forget-damaged`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	c.lock.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&c.forgetDamaged, "forget-damaged", false, "remove repository snapshots that cannot be read")
	return cmd
}

func (c *repairCommand) run(ctx context.Context, a *app, arg string) error {
	u, t, err := c.one(a, arg, c.lock)
	if err != nil {
		return err
	}
	request := upkeep.RepairRequest{StatefulSet: t.name(), DryRun: c.dryRun, ForgetDamaged: c.forgetDamaged}
	counted := false // the count is on a line that is not ended yet
	if count := u.Progress; count != nil {
		u.Progress = func(packs, total int) {
			counted = true
			count(packs, total)
		}
	}
	report, err := u.Repair(ctx, request)
	if counted {
		fmt.Fprintln(a.err)
	}
	if err != nil {
		return err
	}
	return ui.WriteRepaired(a.out, a.err, c.output, request, report)
}

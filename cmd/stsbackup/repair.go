package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/repository"
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
		Short: "Take what is damaged out of a repository, so that the next backup brings it back",
		Long: `repair reads a repository whole and makes its index say what is there. Packs that no index names, because an index object is
lost or damaged, are named again; that loses nothing. What is damaged or missing is named no longer: as long as it was, every
new backup relied on it. The next backup stores again what it still finds on the volumes, and older recovery points that need
the same content become whole by that, too.

It works alone, as prune does, and may be interrupted at any time. Recovery points stay as they are, damaged or not: see what
"stsbackup verify" says after the next backup, and forget those that are still damaged. Repository snapshots whose own objects
are damaged belong to no recovery point that could be named; --forget-damaged removes them.

A repository whose object "config" or whose keys are lost cannot be opened, and so not be repaired: bring those back from a
version or a copy of the bucket.`,
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
	report, err := u.Repair(ctx, request)
	if u.Progress != nil && !errors.Is(err, repository.ErrLocked) {
		fmt.Fprintln(a.err)
	}
	if err != nil {
		return err
	}
	return ui.WriteRepaired(a.out, a.err, c.output, request, report)
}

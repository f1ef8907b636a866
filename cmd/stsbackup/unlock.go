package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
)

// unlockCommand holds the flags of stsbackup unlock.
type unlockCommand struct {
	repositoryFlags
	removeAll bool
}

func newUnlockCommand(a *app) *cobra.Command {
	c := &unlockCommand{}
	cmd := &cobra.Command{
		Use:   "unlock [NAMESPACE/]STATEFULSET",
		Short: "Remove locks that dead processes have left",
		Long: `unlock removes locks on a repository whose holders must be dead: locks that nobody has renewed for 30 minutes, locks of processes
of this host that are gone, locks of movers whose pods no longer exist in the cluster, and locks that cannot be read.

You rarely need it. Every command removes such a lock when the lock blocks it. Only a lock that it cannot read makes it wait,
until 30 minutes after somebody wrote the lock.

With --remove-all it removes all locks. A living holder notices within minutes that its lock is gone, and stops.`,
		Example: `  stsbackup unlock demo/web`,
		Args:    exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	cmd.Flags().BoolVar(&c.removeAll, "remove-all", false, "also remove the locks of processes that seem to be alive")
	return cmd
}

func (c *unlockCommand) run(ctx context.Context, a *app, arg string) error {
	u, t, err := c.one(a, arg, lockFlag{})
	if err != nil {
		return err
	}
	result, err := u.Unlock(ctx, upkeep.UnlockRequest{StatefulSet: t.name(), RemoveAll: c.removeAll})
	if err != nil {
		return err
	}
	return ui.WriteUnlocked(a.out, c.output, result)
}

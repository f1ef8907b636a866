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
		Long: `unlock removes the locks on a repository whose holders must be dead: those that have not been renewed for 30 minutes, those
of processes of this host that are gone, those of movers whose pods the cluster knows to be gone, and those that cannot be
read. Every command does the same when such a lock is in its way, but for one that cannot be read only 30 minutes after it
was written; unlock is for the impatient.

With --remove-all it removes all of them. Whoever holds one and is alive finds it gone within minutes, and stops.`,
		Example: `  stsbackup unlock demo/web`,
		Args:    exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.add(cmd)
	cmd.Flags().BoolVar(&c.removeAll, "remove-all", false, "remove the locks of those that seem to be alive as well")
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

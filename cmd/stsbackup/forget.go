package main

import (
	"context"

	"github.com/spf13/cobra"
)

// forgetCommand holds the flags of stsbackup forget.
type forgetCommand struct {
	repositoryFlags
	keep   keepFlags
	choose chooseFlags
	lock   lockFlag
	dryRun bool
	yes    bool
	force  bool
}

func newForgetCommand(a *app) *cobra.Command {
	c := &forgetCommand{}
	cmd := &cobra.Command{
		Use:   "forget [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]...",
		Short: "Remove recovery points: those that are named, or those that no rule keeps",
		Long: `forget removes whole recovery points: the record first, then all volumes. The data stays in the bucket until "stsbackup prune"
removes what no recovery point needs.

Either name each recovery point by its id, or by the beginning of the id. forget does not accept "latest" or a time, because
they would mean another recovery point next time. It also removes what an interrupted backup has left, by its id. It removes
the newest complete recovery point, which a restore would take, only with --force. On a terminal it asks before it removes a
complete one; without a terminal it needs --yes if no complete one would be left.

Or say with --keep-... what to keep of the StatefulSets that you name, of those that --selector selects, or of --all. A
recovery point stays if any rule keeps it. --keep-last=3 keeps the three newest. --keep-daily=7 keeps the newest of each of
the last seven days that have one, and so on, in the calendar of --keep-time-zone; weeks begin on Monday. --keep-within=30d
keeps those that are less than 30 days older than the newest. Whatever the rules are:
  - the newest complete recovery point stays;
  - incomplete ones, and what interrupted backups have left, do not count; they go 24 hours after the last change to them;
  - those that cannot be read, and those dated in the future, do not count and stay.
--dry-run shows the verdict on each recovery point, and the reasons.

If one of several StatefulSets fails, forget still does the others.`,
		Example: `  stsbackup forget demo/web@20261121T081200Z-3fa91c07
  stsbackup forget demo/web@20261120 demo/web@20261119 && stsbackup prune demo/web
  stsbackup forget demo/web demo/db --keep-last 3 --keep-daily 7 --keep-weekly 5 --keep-time-zone Europe/Berlin --dry-run
  stsbackup forget --all --all-namespaces --keep-daily 14 --keep-within 36h`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.keep.given = c.keep.anyChanged(cmd)
			if err := c.choose.check(&c.kube, args); err != nil {
				return err
			}
			return c.run(cmd.Context(), a, args)
		},
	}
	c.add(cmd)
	c.keep.add(cmd)
	c.choose.add(cmd, allWithRepository)
	c.lock.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show what would be removed, and change nothing")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask before forgetting the recovery points that you name")
	cmd.Flags().BoolVar(&c.force, "force", false, "forget the recovery point that you name even if it is the newest complete one")
	return cmd
}

func (c *forgetCommand) run(ctx context.Context, a *app, args []string) error {
	switch {
	case len(args) == 0 && !c.choose.any():
		return usageErrorf("name a recovery point to forget, or StatefulSets and what to keep of them; see \"stsbackup forget --help\"")
	case (c.keep.given || c.choose.any()) && c.force:
		return usageErrorf("--force works only for a recovery point that you name; --keep-... always keeps the newest complete one")
	case c.keep.given || c.choose.any():
		return c.runKeep(ctx, a, args)
	default:
		return c.runNamed(ctx, a, args)
	}
}

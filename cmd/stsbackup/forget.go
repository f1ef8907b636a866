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
		Long: `forget removes recovery points as a whole: the record first, then all their volumes. Their data stays in the bucket until
"stsbackup prune" removes what no recovery point needs any more.

Either name each recovery point by its id or the beginning of just one; "latest" and times are not taken, because the same
words would mean another one the next time. What an interrupted backup has left is removed in the same way. The newest complete
recovery point, which a restore would take, is only forgotten with --force. A terminal asks before a complete one goes; without
one, --yes is needed if no complete one would be left.

Or say with --keep-... what to keep of the StatefulSets that are named, of those whose labels --selector selects, or of
--all. A recovery point stays if any of the rules keeps it. --keep-last=3 keeps the three newest. --keep-daily=7 keeps the newest of each of the last seven days that
have one, and so on, by the calendar of --keep-time-zone; weeks begin on Monday. --keep-within=30d keeps those that are less
than that older than the newest. Whatever the rules are:
  - the newest complete recovery point stays;
  - incomplete ones, and what interrupted backups have left, do not count, and go 24 hours after the last that happened to them;
  - those that cannot be read, and those of a time that has not come, do not count and stay.
--dry-run shows what would be done to each recovery point, and why.

If one of several StatefulSets fails, the others are still seen to.`,
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
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask before recovery points that are named are forgotten")
	cmd.Flags().BoolVar(&c.force, "force", false, "forget a recovery point that is named even if it is the newest complete one")
	return cmd
}

func (c *forgetCommand) run(ctx context.Context, a *app, args []string) error {
	switch {
	case len(args) == 0 && !c.choose.any():
		return usageErrorf("name a recovery point to forget, or StatefulSets and what to keep of them; see \"stsbackup forget --help\"")
	case (c.keep.given || c.choose.any()) && c.force:
		return usageErrorf("--force goes with recovery points that are named; by --keep-... the newest complete one always stays")
	case c.keep.given || c.choose.any():
		return c.runKeep(ctx, a, args)
	default:
		return c.runNamed(ctx, a, args)
	}
}

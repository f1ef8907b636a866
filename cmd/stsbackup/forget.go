package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

func newForgetCommand(a *app) *cobra.Command {
	c := &repositoryFlags{}
	cmd := &cobra.Command{
		Use:   "forget [NAMESPACE/]STATEFULSET@RECOVERY-POINT...",
		Short: "Remove recovery points",
		Long: `forget removes recovery points as a whole: the record first, then all their volumes. Each is named by its id or the beginning
of just one; "latest" and times are not taken, because the same words would mean another one the next time. What an
interrupted backup has left is removed in the same way.

Their data stays in the bucket until "stsbackup prune" removes what no recovery point needs any more.`,
		Example: `  stsbackup forget demo/web@20261121T081200Z-3fa9
  stsbackup forget demo/web@20261120 demo/web@20261119 && stsbackup prune demo/web`,
		Args: rangeArgs(1, 1000, "at least one recovery point"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runForget(cmd.Context(), a, c, args)
		},
	}
	c.add(cmd)
	return cmd
}

func runForget(ctx context.Context, a *app, c *repositoryFlags, args []string) error {
	var ids []string
	for _, arg := range args {
		name, id, ok := strings.Cut(arg, "@")
		first, _, _ := strings.Cut(args[0], "@")
		switch {
		case !ok || id == "" || id == "latest":
			return usageErrorf("%q does not say which recovery point to forget; write %s@ID (\"stsbackup list\" shows the ids)", arg, name)
		case name != first:
			return usageErrorf("%q and %q are of different StatefulSets; forget one StatefulSet's recovery points at a time", args[0], arg)
		}
		ids = append(ids, id)
	}
	points, t, err := c.open(ctx, a, args[0])
	if err != nil {
		return err
	}
	var forgotten []catalog.Forgotten
	err = c.alone(ctx, a, points, func() (err error) {
		forgotten, err = points.Forget(ctx, ids...)
		return err
	})
	if c.output == outputJSON && err == nil {
		return printJSON(a.out, forgotten)
	}
	for _, point := range forgotten {
		what := "recovery point"
		if !point.Recorded {
			what = "what was left of recovery point"
		}
		fmt.Fprintf(a.out, "forgot %s %s of %s/%s (%d volumes)\n", what, point.ID, t.namespace, t.statefulSet, point.Volumes)
	}
	return err
}

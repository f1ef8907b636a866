package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage/catalog"
)

// showCommand holds the flags of stsbackup show.
type showCommand struct {
	kube   kubeFlags
	repo   repoFlags
	output outputFlag
}

func newShowCommand(a *app) *cobra.Command {
	c := &showCommand{}
	cmd := &cobra.Command{
		Use:   "show [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Show what a recovery point holds, and what it does not",
		Long: `show prints one recovery point. It needs the bucket and the password, and no cluster.

` + pointsText,
		Example: `  stsbackup show demo/web
  stsbackup show demo/web@20261121T08 -o json`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.output.add(cmd)
	return cmd
}

func (c *showCommand) run(ctx context.Context, a *app, arg string) error {
	t, err := c.kube.target(arg)
	if err != nil {
		return err
	}
	store, err := openStore(a, &c.repo)
	if err != nil {
		return err
	}
	points, err := catalog.Open(ctx, store.root, t.namespace, t.statefulSet, store.password(t))
	if err != nil {
		return err
	}
	record, err := points.Find(ctx, t.at(a.now()).recoveryPoint)
	if err != nil {
		return err
	}
	return printRecord(a.out, c.output, record)
}

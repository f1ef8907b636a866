package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// listCommand holds the flags of stsbackup list.
type listCommand struct{ repositoryFlags }

func newListCommand(a *app) *cobra.Command {
	c := &listCommand{}
	cmd := &cobra.Command{
		Use:   "list [[NAMESPACE/]STATEFULSET]",
		Short: "List recovery points",
		Long: `list shows the recovery points of one StatefulSet, or of every StatefulSet that has a repository below --repo (with
--namespace: in that namespace). It needs the bucket and the password, and no cluster.`,
		Example: `  stsbackup list
  stsbackup list demo/web -o json`,
		Args: rangeArgs(0, 1, "at most one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args)
		},
	}
	c.add(cmd)
	return cmd
}

func (c *listCommand) run(ctx context.Context, a *app, args []string) error {
	u, err := c.upkeep(a, lockFlag{})
	if err != nil {
		return err
	}
	memory.Save(a.getenv)
	request, err := c.request(args)
	if err != nil {
		return err
	}
	listings, err := u.List(ctx, request)
	if err != nil {
		return err
	}
	records, failed := upkeep.Records(listings)
	switch {
	case c.output == ui.JSON || len(records) > 0:
		err = ui.WriteRecords(a.out, c.output, records, a.now())
	case failed == nil: // otherwise there may be some that cannot be read
		fmt.Fprintf(a.err, "There are no recovery points %sbelow %s.\n", c.where(args), u.Repositories)
	}
	return errors.Join(failed, err)
}

// where says, for a message, which of the recovery points below the root are listed.
func (c *listCommand) where(args []string) string {
	switch {
	case len(args) > 0:
		return "of " + args[0] + " "
	case c.kube.namespace != "":
		return "of namespace " + c.kube.namespace + " "
	default:
		return ""
	}
}

// request says whose recovery points to list.
func (c *listCommand) request(args []string) (upkeep.ListRequest, error) {
	if len(args) == 0 {
		return upkeep.ListRequest{Namespace: c.kube.namespace}, nil
	}
	t, err := c.kube.target(args[0])
	if err != nil {
		return upkeep.ListRequest{}, err
	}
	if t.recoveryPoint != "" {
		return upkeep.ListRequest{}, usageErrorf("list shows all recovery points; \"stsbackup show %s\" shows one", args[0])
	}
	return upkeep.ListRequest{StatefulSets: []catalog.Name{t.name()}}, nil
}

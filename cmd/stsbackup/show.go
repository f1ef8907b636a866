package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// showCommand holds the flags of stsbackup show.
type showCommand struct {
	kube   kubeFlags
	repo   repoFlags
	output ui.Format
	// manifests says to print the manifests instead of the record.
	manifests bool
}

func newShowCommand(a *app) *cobra.Command {
	c := &showCommand{}
	cmd := &cobra.Command{
		Use:   "show [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Show what a recovery point holds, and what it does not",
		Long: `show prints one recovery point. It needs the bucket and the password, and no cluster.

` + pointsText,
		Example: `  stsbackup show demo/web
  stsbackup show demo/web@20261121T08 -o json
  stsbackup show demo/web@yesterday --manifests`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	addOutput(cmd, &c.output)
	cmd.Flags().BoolVar(
		&c.manifests,
		"manifests",
		false,
		"print the saved manifests instead: of the StatefulSet, its Service, claims and volumes; with -o json by their names",
	)
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
	points, err := store.Open(ctx, t.name())
	if err != nil {
		return err
	}
	record, err := points.Find(ctx, t.at(a.now()).recoveryPoint)
	if err != nil {
		return err
	}
	if c.manifests {
		return c.printManifests(ctx, a, points, string(record.ID))
	}
	return ui.WriteRecord(a.out, c.output, record)
}

// printManifests prints the manifests of a recovery point, as YAML documents with their names.
func (c *showCommand) printManifests(ctx context.Context, a *app, points *catalog.Catalog, id string) error {
	manifests, err := points.Manifests(ctx, catalog.RecoveryPointID(id))
	if err != nil {
		return err
	}
	if len(manifests) == 0 && c.output == ui.Text {
		fmt.Fprintf(a.err, "Recovery point %s of %s holds no manifests.\n", id, points.Host())
	}
	return ui.WriteManifests(a.out, c.output, manifests)
}

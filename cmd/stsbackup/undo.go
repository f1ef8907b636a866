package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
	"github.com/stsbackup/stsbackup/restore"
)

// undoCommand holds the flags of stsbackup undo.
type undoCommand struct {
	kube      kubeFlags
	repo      repoFlags
	mover     moverFlags
	output    ui.Format
	ordinals  ordinalsFlag
	list      bool
	operation operationFlag
	goAhead
	changeFlags
}

func newUndoCommand(a *app) *cobra.Command {
	c := &undoCommand{}
	cmd := &cobra.Command{
		Use:   "undo [NAMESPACE/]STATEFULSET",
		Short: "Bring back the volumes that a restore has set aside",
		Long: `undo takes a restore back. It binds the volumes that the restore has set aside to their claims again, and sets aside those that
the claims have now, so that you can undo an undo too. It works at any time after the restore, even days later, and for a
StatefulSet that was deleted and made again since. It brings back what the last restore, or undo, has set aside.

After an interrupted restore, undo puts everything back: every claim gets the volume that it had. It removes what the restore
had made if it can prove that nobody else has written to it; otherwise it sets it aside and keeps it.

undo deletes no data. It needs neither the bucket nor the password, unless an interrupted restore has filled volumes that
people made: undo empties those again.`,
		Example: `  stsbackup undo demo/web --dry-run
  stsbackup undo demo/web
  stsbackup undo demo/web --ordinals 2 --yes
  stsbackup undo demo/web --list`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := parseTarget(args[0], c.kube.namespace)
			if err != nil {
				return err
			}
			if t.recoveryPoint != "" {
				return usageErrorf("undo brings volumes back, not recovery points: leave out @%s, or restore it", t.recoveryPoint)
			}
			if c.list {
				return c.printList(cmd.Context(), a, t)
			}
			asker := rightsAsker{kube: &c.kube, verb: "undo", args: args, dryRun: c.dryRun}
			return asker.explain(cmd.Context(), a, c.carryOut(cmd.Context(), a, t,
				restore.PlanOptions{Kind: restore.KindUndo, Ordinals: c.ordinals, Operation: string(c.operation)}))
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.mover.add(cmd)
	addOutput(cmd, &c.output)
	cmd.Flags().BoolVar(&c.list, "list", false, "list the volumes that are set aside, and change nothing")
	cmd.Flags().Var(&c.ordinals, "ordinals", "bring back the volumes of these ordinals only, such as 0,2")
	cmd.Flags().Var(
		&c.operation,
		"operation",
		"bring back what this restore, or undo, has set aside: its `id`, or the beginning of its id (default: the last one)",
	)
	c.addGoAhead(cmd, "show the plan and change nothing", "do not ask before the undo begins")
	c.addChange(cmd, "the pods")
	return cmd
}

// printList shows what undo could bring back, and which other volumes are set aside.
func (c *undoCommand) printList(ctx context.Context, a *app, t target) error {
	client, namespace, err := cluster.Connect(c.kube.kubeconfig, c.kube.context)
	if err != nil {
		return err
	}
	t.namespace = cmp.Or(t.namespace, namespace)
	volumes, err := displaced.List(ctx, client, t.namespace, t.statefulSet)
	if err != nil {
		return err
	}
	if err := displaced.CheckNamed(ctx, client, t.namespace, t.statefulSet, volumes); err != nil {
		return err
	}
	all := len(volumes)
	volumes = displaced.Of(volumes, c.ordinals, string(c.operation))
	switch {
	case len(volumes) > 0 || c.output != ui.Text:
	case all > 0:
		fmt.Fprintf(
			a.err,
			"None of the volumes that are set aside for %s (%s) belongs to the ordinals and the operation that you gave.\n",
			t,
			ui.Volumes(all),
		)
	default:
		fmt.Fprintf(a.err, "No volume of %s is set aside.\n", t)
	}
	return ui.WriteDisplaced(a.out, c.output, volumes)
}

// carryOut plans, shows, asks, and carries out the undo.
func (c *undoCommand) carryOut(ctx context.Context, a *app, t target, options restore.PlanOptions) error {
	if c.unanswered(a, c.output) {
		return usageErrorf("an undo asks before it begins, and nobody can answer here: give --yes to go ahead, or --dry-run to see the plan")
	}
	if err := errors.Join(c.checkChange(), c.mover.check()); err != nil {
		return err
	}
	client, namespace, err := cluster.Connect(c.kube.kubeconfig, c.kube.context)
	if err != nil {
		return err
	}
	t.namespace = cmp.Or(t.namespace, namespace)
	filler, err := c.filler(ctx, a, client, t)
	if err != nil {
		return err
	}
	do := &restoring{
		app: a, output: c.output, goAhead: c.goAhead, changeFlags: c.changeFlags, restorer: newRestorer(a, client, filler, c.changeFlags),
	}
	return do.carryOut(ctx, restore.Request{Namespace: t.namespace, StatefulSet: t.statefulSet, PlanOptions: options})
}

// filler is for volumes that people made and a restore has filled: movers empty them, if there is a repository.
func (c *undoCommand) filler(ctx context.Context, a *app, client *cluster.Client, t target) (restore.Filler, error) {
	if c.repo.url == "" && a.getenv("STSBACKUP_REPO") == "" {
		return restore.NoMovers{}, nil
	}
	store, err := openStore(a, &c.repo)
	if err != nil {
		return nil, err
	}
	mover, err := c.mover.config(ctx, a, store, t)
	if err != nil {
		return nil, fmt.Errorf("prepare the movers that empty the volumes which a restore has filled: %w", err)
	}
	return &restore.Movers{Cluster: client, Config: mover}, nil
}

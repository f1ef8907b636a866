package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// restoreCommand holds the flags of stsbackup restore.
type restoreCommand struct {
	kube   kubeFlags
	repo   repoFlags
	mover  moverFlags
	output ui.Format
	goAhead
	changeFlags
	resume      bool
	keepPresent bool
	ifNotReady  notReadyFlag
	parallel    int
}

func newRestoreCommand(a *app) *cobra.Command {
	c := &restoreCommand{ifNotReady: notReadyLeave}
	cmd := &cobra.Command{
		Use:   "restore [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Bring a StatefulSet back to a recovery point",
		Long: `restore gives every ordinal of a StatefulSet its own data back, as it was at the recovery point.

` + pointsText + `

It shows the plan first. Then it scales the StatefulSet to 0, sets its volumes aside, makes claims under the same names, fills
them, and scales up when every ordinal is complete. It also works if some or all
claims or volumes are gone. If the StatefulSet has 0 replicas, it gets the replicas of the recovery point. Pods that anybody
starts meanwhile wait until every ordinal is complete.

It refuses to begin if Argo CD, Flux, KEDA, an autoscaler or an operator would revert the StatefulSet during the restore, or if
the API server would not create an object that the restore needs; it asks the API server with dry runs.

It deletes no data. If anything fails, or you interrupt it, before it scales the StatefulSet up, it puts everything back as it
was. After success it keeps the old volumes: "stsbackup undo" brings them back, and "stsbackup discard" frees them.

If a restore was killed, --resume continues it and "stsbackup undo" puts everything back. On a terminal, restore asks
which of the two you want; with --yes it exits with code 5. Whichever you choose, it keeps the volumes that pods have written to.`,
		Example: `  stsbackup restore demo/web --dry-run
  stsbackup restore demo/web@20261121T081200Z-3fa91c07
  stsbackup restore demo/web@2026-11-21T09:00:00Z --yes
  stsbackup restore demo/web --resume`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			asker := rightsAsker{kube: &c.kube, verb: "restore", args: args, dryRun: c.dryRun}
			return asker.explain(cmd.Context(), a, c.run(cmd.Context(), a, args[0]))
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.mover.add(cmd)
	addOutput(cmd, &c.output)
	c.addGoAhead(cmd, "show the plan and change nothing", "do not ask before the restore begins")
	cmd.Flags().BoolVar(
		&c.resume,
		"resume",
		false,
		"continue an interrupted restore; it keeps the volumes that are complete and that nobody has written to since",
	)
	cmd.Flags().BoolVar(
		&c.keepPresent,
		"keep-present",
		false,
		"end an interrupted restore and keep what the pods run on now; restores nothing",
	)
	cmd.Flags().Var(
		&c.ifNotReady,
		"if-not-ready",
		"what to do if the restored pods are not Ready in time: leave them, or undo the restore (the new volumes are kept)",
	)
	cmd.Flags().IntVar(&c.parallel, "parallel", 2, "how many ordinals to fill at once")
	c.addChange(cmd, "the restored pods")
	return cmd
}

// notReadyFlag is --if-not-ready.
type notReadyFlag string

const (
	notReadyLeave notReadyFlag = "leave"
	notReadyUndo  notReadyFlag = "undo"
)

// String, Set and Type make a notReadyFlag a pflag.Value.
func (f *notReadyFlag) String() string { return string(*f) }

// Set reads one of the two values.
func (f *notReadyFlag) Set(s string) error {
	switch v := notReadyFlag(s); v {
	case notReadyLeave, notReadyUndo:
		*f = v
		return nil
	default:
		return fmt.Errorf("%q is neither leave nor undo", s)
	}
}

// Type says what the flag takes.
func (f *notReadyFlag) Type() string { return "leave|undo" }

// check rejects flags that make no sense.
func (c *restoreCommand) check(a *app) error {
	if c.unanswered(a, c.output) {
		return usageErrorf("a restore asks before it begins, and nobody can answer here: give --yes to go ahead, or --dry-run to see the plan")
	}
	if c.resume && c.keepPresent {
		return usageErrorf("--resume and --keep-present exclude each other; give one of them")
	}
	if c.parallel < 1 {
		return usageErrorf("--parallel is %d; give 1 or more", c.parallel)
	}
	return errors.Join(c.checkChange(), c.mover.check())
}

func (c *restoreCommand) run(ctx context.Context, a *app, arg string) error {
	if err := c.check(a); err != nil {
		return err
	}
	t, err := parseTarget(arg, c.kube.namespace)
	if err != nil {
		return err
	}
	t = t.at(a.now())
	if c.keepPresent {
		keep := undoCommand{kube: c.kube, repo: c.repo, mover: c.mover, output: c.output, goAhead: c.goAhead, changeFlags: c.changeFlags}
		return keep.carryOut(ctx, a, t, restore.PlanOptions{Interrupted: restore.WayKeep})
	}
	at, err := openScene(a, &c.kube, &c.repo, t)
	if err != nil {
		return err
	}
	mover, err := c.mover.config(ctx, a, at.store, at.target)
	if err != nil {
		return err
	}
	filler := &restore.Movers{Cluster: at.client, Config: mover}
	do := &restoring{
		app: a, output: c.output, goAhead: c.goAhead, changeFlags: c.changeFlags,
		undoIfNotReady: c.ifNotReady == notReadyUndo,
		restorer:       newRestorer(a, at.client, filler, c.changeFlags),
		find: func(ctx context.Context, ref string) (catalog.Record, error) {
			return at.store.Find(ctx, at.target.name(), ref)
		},
	}
	do.restorer.Parallel = c.parallel
	request := restore.Request{
		Namespace: at.target.namespace, StatefulSet: at.target.statefulSet, RecoveryPoint: at.target.recoveryPoint,
		PlanOptions: restore.PlanOptions{Kind: restore.KindRestore},
	}
	if c.resume {
		request.Interrupted = restore.WayResume
	}
	return do.carryOut(ctx, request)
}

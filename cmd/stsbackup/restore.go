package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// restoreCommand holds the flags of stsbackup restore.
type restoreCommand struct {
	kube         kubeFlags
	repo         repoFlags
	mover        moverFlags
	output       outputFlag
	dryRun       bool
	yes          bool
	resume       bool
	keepPresent  bool
	ifNotReady   notReadyFlag
	parallel     int
	ignore       bool // what manages the StatefulSet
	readyTimeout time.Duration
	wait         time.Duration
}

func newRestoreCommand(a *app) *cobra.Command {
	c := &restoreCommand{ifNotReady: notReadyLeave}
	cmd := &cobra.Command{
		Use:   "restore [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Bring a StatefulSet back to a recovery point",
		Long: `restore gives every ordinal of a StatefulSet its own data back, as it was at the recovery point.

` + pointsText + `

It shows the plan first. Then it scales the StatefulSet to 0, sets its volumes aside, makes claims under the same names, fills
them, and scales up when every ordinal is complete. It does not matter whether the claims exist, or some or all are gone, or
their volumes are gone. A StatefulSet that has 0 replicas gets those of the recovery point. Pods that anybody starts meanwhile
wait until every ordinal is complete.

It refuses what stands in the way before it changes anything: Argo CD, Flux, KEDA, an autoscaler or an operator that would
revert the StatefulSet during the restore, and objects that the API server would not create, by its answers to dry runs.

It deletes no data. If anything fails, or you interrupt it, before it scales the StatefulSet up, it puts everything back as it
was. After success it keeps the old volumes: "stsbackup undo" brings them back, and "stsbackup discard" frees them.

After a restore that was killed, --resume continues it and "stsbackup undo" puts everything back. On a terminal, restore asks
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
	c.output.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show the plan and change nothing")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask before the restore begins")
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
	addIgnoreManager(cmd, &c.ignore)
	cmd.Flags().IntVar(&c.parallel, "parallel", 2, "how many ordinals to fill at once")
	cmd.Flags().DurationVar(&c.readyTimeout, "ready-timeout", 10*time.Minute, "how long the restored pods may take to become Ready")
	addWait(cmd, &c.wait)
	return cmd
}

// addWait adds --wait.
func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(
		wait,
		"wait",
		0,
		"wait this long (1h without a value) for another operation on the StatefulSet to end; a scheduler's backup steps aside",
	)
	cmd.Flags().Lookup("wait").NoOptDefVal = "1h"
}

// checkWait reports a wait that goes backwards.
func checkWait(wait time.Duration) error {
	if wait < 0 {
		return usageErrorf("--wait is %s; give a time such as 1h, or 0 to be refused at once", wait)
	}
	return nil
}

// addIgnoreManager adds --ignore-manager.
func addIgnoreManager(cmd *cobra.Command, ignore *bool) {
	cmd.Flags().BoolVar(
		ignore,
		"ignore-manager",
		false,
		"go ahead even if Argo CD, Flux, KEDA, an autoscaler or an operator may change the StatefulSet meanwhile",
	)
}

// notReadyFlag is --if-not-ready.
type notReadyFlag string

const (
	notReadyLeave notReadyFlag = "leave"
	notReadyUndo  notReadyFlag = "undo"
)

// String, Set and Type make a notReadyFlag a pflag.Value.
func (f *notReadyFlag) String() string { return string(*f) }

// Set reads one of the two.
func (f *notReadyFlag) Set(s string) error {
	switch v := notReadyFlag(s); v {
	case notReadyLeave, notReadyUndo:
		*f = v
		return nil
	default:
		return fmt.Errorf("%q is neither leave nor undo", s)
	}
}

// Type names what the flag takes.
func (f *notReadyFlag) Type() string { return "leave|undo" }

// check reports flags that make no sense.
func (c *restoreCommand) check(a *app) error {
	if !c.yes && !c.dryRun && (!a.terminal || c.output == outputJSON) {
		return usageErrorf("a restore asks before it begins, and nobody can answer here: give --yes to go ahead, or --dry-run to see the plan")
	}
	if c.resume && c.keepPresent {
		return usageErrorf("--resume and --keep-present exclude each other; give one of them")
	}
	if c.parallel < 1 {
		return usageErrorf("--parallel is %d; give 1 or more", c.parallel)
	}
	return errors.Join(checkTimeout("ready-timeout", c.readyTimeout), checkWait(c.wait), c.mover.check())
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
		settle := undoCommand{
			kube: c.kube, repo: c.repo, mover: c.mover, output: c.output, dryRun: c.dryRun, yes: c.yes, readyTimeout: c.readyTimeout, wait: c.wait,
		}
		return settle.carryOut(ctx, a, t, restore.PlanOptions{Interrupted: restore.WayKeep, IgnoreManager: c.ignore})
	}
	at, err := openScene(a, &c.kube, &c.repo, t)
	if err != nil {
		return err
	}
	mover, err := c.mover.config(ctx, a, at.store, at.target)
	if err != nil {
		return err
	}
	restorer := c.restorer(
		a,
		at.client,
		&restore.Movers{Cluster: at.client, Config: mover, PasswordFile: cluster.MoverFiles + "/" + moverPassword},
	)
	plan, record, err := c.plan(ctx, at)
	if err != nil {
		return err
	}
	plan, record, err = c.askInterrupted(ctx, a, at, plan, record)
	if err != nil {
		return err
	}
	return c.carryOut(ctx, a, restorer, plan, record)
}

// restorer is the engine with these flags.
func (c *restoreCommand) restorer(a *app, client *cluster.Client, filler restore.Filler) *restore.Restorer {
	return &restore.Restorer{
		Cluster: client, Filler: filler, Now: a.now, Random: a.random, Holder: holder(a), Parallel: c.parallel, Wait: c.wait,
		Limits: restore.Limits{Ready: c.readyTimeout},
	}
}

// plan finds the recovery point and decides.
func (c *restoreCommand) plan(ctx context.Context, at scene) (restore.Plan, catalog.Record, error) {
	t, options := at.target, restore.PlanOptions{Kind: restore.KindRestore, IgnoreManager: c.ignore}
	if c.resume {
		journal, err := restore.Interrupted(ctx, at.client, t.namespace, t.statefulSet)
		if err != nil {
			return restore.Plan{}, catalog.Record{}, err
		}
		options = restore.PlanOptions{Kind: journal.Kind, Interrupted: restore.WayResume, IgnoreManager: c.ignore}
		if t.recoveryPoint != "" && !strings.HasPrefix(journal.RecoveryPoint, t.recoveryPoint) {
			return restore.Plan{}, catalog.Record{}, &cluster.Refusal{
				Object: "StatefulSet " + t.namespace + "/" + t.statefulSet,
				Reason: fmt.Sprintf("the interrupted restore brings back %s, not %s", journal.RecoveryPoint, t.recoveryPoint),
				Next: fmt.Sprintf(
					"continue that one (leave out the recovery point), or put it back first: \"stsbackup undo %s/%s\"",
					t.namespace,
					t.statefulSet,
				),
			}
		}
		t.recoveryPoint = journal.RecoveryPoint
	}
	record := catalog.Record{}
	if options.Kind != restore.KindUndo {
		points, err := at.store.points(ctx, t)
		if err != nil {
			return restore.Plan{}, record, err
		}
		if record, err = points.Find(ctx, t.recoveryPoint); err != nil {
			return restore.Plan{}, record, err
		}
	}
	situation, err := restore.Look(ctx, at.client, record, t.namespace, t.statefulSet)
	if err != nil {
		return restore.Plan{}, record, makeAgain(err)
	}
	return restore.NewPlan(situation, options), record, nil
}

// makeAgain says what to do first where the StatefulSet itself is gone.
func makeAgain(err error) error {
	if !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w (if it was deleted, make it again first, with 0 replicas)", err)
}

// askInterrupted asks a person what to do about a restore that was interrupted, if there is one and nothing was said about it.
func (c *restoreCommand) askInterrupted(
	ctx context.Context,
	a *app,
	at scene,
	plan restore.Plan,
	record catalog.Record,
) (restore.Plan, catalog.Record, error) {
	if !plan.AsksForWay() || c.yes || c.dryRun || !a.terminal {
		return plan, record, nil
	}
	choices := []string{"resume", "undo"}
	fmt.Fprintf(
		a.err,
		"%s: %s.\n\n  resume  go on with it\n  undo    bring back what was there before it\n",
		at.target,
		plain(plan.Interrupted),
	)
	if len(plan.Running) > 0 {
		choices = append(choices, "keep")
		fmt.Fprintf(a.err, "  keep    keep what runs now (%s)\n", printable(strings.Join(plan.Running, ", ")))
	}
	fmt.Fprintf(a.err, "\nType one of %s: ", strings.Join(choices, ", "))
	answer, err := readLine(ctx, a)
	if err != nil {
		return plan, record, err
	}
	options := restore.PlanOptions{IgnoreManager: c.ignore}
	switch {
	case answer == "resume":
		c.resume = true
		return c.plan(ctx, at)
	case answer == "undo":
		options.Kind = restore.KindUndo
	case answer == "keep" && len(plan.Running) > 0:
		options.Interrupted = restore.WayKeep
	default:
		return plan, record, errors.New("nothing was changed, because the answer was none of them")
	}
	situation, err := restore.Look(ctx, at.client, catalog.Record{}, at.target.namespace, at.target.statefulSet)
	if err != nil {
		return plan, record, err
	}
	return restore.NewPlan(situation, options), catalog.Record{}, nil
}

// carryOut shows the plan, asks, and does it.
func (c *restoreCommand) carryOut(ctx context.Context, a *app, restorer *restore.Restorer, plan restore.Plan, record catalog.Record) error {
	if err := restorer.Admit(ctx, &plan); err != nil {
		return err
	}
	if c.dryRun {
		return errors.Join(printRestorePlan(a.out, c.output, &plan), plan.Err())
	}
	if err := agree(ctx, a, c.output, c.yes, &plan); err != nil {
		return err
	}
	report, err := runPlan(ctx, a, c.output, restorer, plan, record)
	if !errors.Is(err, restore.ErrNotReady) || c.ifNotReady != notReadyUndo || plan.Kind != restore.KindRestore {
		return errors.Join(printRestored(a.out, c.output, &report), takeBack(err, &report))
	}
	fmt.Fprintf(a.err, "The pods are not Ready in time, so stsbackup undoes the restore: %s\n", message(ctx, err))
	situation, lookErr := restore.Look(ctx, restorer.Cluster, catalog.Record{}, plan.Namespace, plan.StatefulSet)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	undo := restore.NewPlan(situation, restore.PlanOptions{Kind: restore.KindUndo, Operation: report.Operation, IgnoreManager: c.ignore})
	undone, undoErr := runPlan(ctx, a, c.output, restorer, undo, catalog.Record{})
	if undoErr != nil {
		return errors.Join(printRestored(a.out, c.output, &report), err, fmt.Errorf("undo it: %w", undoErr))
	}
	return errors.Join(
		printRestored(a.out, c.output, &undone),
		fmt.Errorf(
			"%w; so stsbackup brought the old volumes back, and set the restored ones aside for a look (stsbackup undo %s/%s --list)",
			err,
			plan.Namespace,
			plan.StatefulSet,
		),
	)
}

// takeBack says how to take back what is done, if the pods do not become Ready with it.
func takeBack(err error, report *restore.Report) error {
	if !errors.Is(err, restore.ErrNotReady) || len(report.Displaced) == 0 {
		return err
	}
	return fmt.Errorf("%w; to bring back what was there before: \"stsbackup undo %s/%s\"", err, report.Namespace, report.StatefulSet)
}

// runPlan carries a plan out and shows how it goes.
func runPlan(
	ctx context.Context,
	a *app,
	output outputFlag,
	restorer *restore.Restorer,
	plan restore.Plan,
	record catalog.Record,
) (restore.Report, error) {
	unheard()
	reporter := newRestoreReporter(a, output, &plan)
	defer reporter.close()
	restorer.Reporter = reporter
	return restorer.Run(ctx, plan, record)
}

// agree shows the plan and asks whether to carry it out. A plan that is refused needs no consent.
func agree(ctx context.Context, a *app, output outputFlag, yes bool, plan *restore.Plan) error {
	if output == outputText {
		if err := printRestorePlan(a.err, output, plan); err != nil {
			return err
		}
	}
	if len(plan.Refusals) > 0 {
		return plan.Err()
	}
	if yes {
		return nil
	}
	return askYes(ctx, a)
}

// askYes asks a person, who has been shown what is going to happen, whether to go ahead.
func askYes(ctx context.Context, a *app) error {
	fmt.Fprintf(a.err, "\nType yes to go ahead: ")
	answer, err := readLine(ctx, a)
	if err != nil {
		return err
	}
	if answer != "yes" {
		return errors.New("nothing was changed, because the answer was not yes")
	}
	return nil
}

// readLine reads a line from a person, who may prefer to press Ctrl-C.
func readLine(ctx context.Context, a *app) (string, error) {
	type reply struct {
		text string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		// It ends with the process: a read from a terminal cannot be interrupted.
		text, err := bufio.NewReader(a.in).ReadString('\n')
		replies <- reply{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("nothing was changed, because there was no answer: %w", context.Cause(ctx))
	case r := <-replies:
		if r.err != nil && r.text == "" {
			return "", fmt.Errorf("nothing was changed, because there was no answer: read it: %w", r.err)
		}
		return strings.TrimSpace(r.text), nil
	}
}

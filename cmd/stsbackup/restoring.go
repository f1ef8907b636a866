package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/restore"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// restoring is how restore and undo plan, show, ask, and carry out the plan.
type restoring struct {
	app    *app
	output ui.Format
	goAhead
	changeFlags
	undoIfNotReady bool
	restorer       *restore.Restorer
	// find finds recovery points; nil if the operation restores from none.
	find restore.Find
}

// newRestorer returns the engine, configured by these flags.
func newRestorer(a *app, client *cluster.Client, filler restore.Filler, flags changeFlags) *restore.Restorer {
	return &restore.Restorer{
		Cluster: client, Filler: filler, Now: a.now, Random: a.random, Holder: holder(a), Parallel: 1, Wait: flags.wait,
		Limits: restore.Limits{Ready: flags.readyTimeout},
	}
}

// propose makes the plan for a request.
func (r *restoring) propose(ctx context.Context, request restore.Request) (restore.Plan, catalog.Record, error) {
	request.IgnoreManager = r.ignoreManager
	return restore.Propose(ctx, r.restorer.Cluster, r.find, request)
}

// carryOut carries out a request after it has shown it and a person has agreed.
func (r *restoring) carryOut(ctx context.Context, request restore.Request) error {
	plan, record, err := r.propose(ctx, request)
	if err != nil {
		return err
	}
	if plan.AsksForWay() && r.find != nil && !r.yes && !r.dryRun && r.app.terminal {
		if plan, record, err = r.askInterrupted(ctx, request, &plan); err != nil {
			return err
		}
	}
	if err := r.restorer.Admit(ctx, &plan); err != nil {
		return err
	}
	if r.dryRun {
		return errors.Join(ui.WriteRestorePlan(r.app.out, r.output, &plan), plan.Err())
	}
	if err := agree(ctx, r.app, r.output, r.yes, &plan); err != nil {
		return err
	}
	report, err := r.run(ctx, plan, record)
	if !errors.Is(err, restore.ErrNotReady) || !r.undoIfNotReady || plan.Kind != restore.KindRestore {
		return errors.Join(ui.WriteRestored(r.app.out, r.output, &report), takeBack(err, &report))
	}
	return r.undo(ctx, &report, err)
}

// askInterrupted asks a person what to do about an interrupted restore, and plans that.
func (r *restoring) askInterrupted(ctx context.Context, request restore.Request, plan *restore.Plan) (restore.Plan, catalog.Record, error) {
	choices, a := []string{"resume", "undo"}, r.app
	fmt.Fprintf(
		a.err,
		"%s: %s.\n\n  resume  go on with it\n  undo    bring back what was there before it\n",
		target{request.Namespace, request.StatefulSet, request.RecoveryPoint},
		ui.Plain(plan.Interrupted),
	)
	if len(plan.Running) > 0 {
		choices = append(choices, "keep")
		fmt.Fprintf(a.err, "  keep    keep what runs now (%s)\n", ui.Printable(strings.Join(plan.Running, ", ")))
	}
	fmt.Fprintf(a.err, "\nType one of %s: ", strings.Join(choices, ", "))
	answer, err := readLine(ctx, a)
	if err != nil {
		return restore.Plan{}, catalog.Record{}, err
	}
	switch {
	case answer == "resume":
		request.Interrupted = restore.WayResume
	case answer == "undo":
		request.PlanOptions = restore.PlanOptions{Kind: restore.KindUndo}
	case answer == "keep" && len(plan.Running) > 0:
		request.PlanOptions = restore.PlanOptions{Interrupted: restore.WayKeep}
	default:
		return restore.Plan{}, catalog.Record{}, errors.New("nothing was changed, because the answer was none of them")
	}
	return r.propose(ctx, request)
}

// undo takes back a restore whose pods did not become Ready in time; notReady is that error.
func (r *restoring) undo(ctx context.Context, report *restore.Report, notReady error) error {
	fmt.Fprintf(r.app.err, "The pods are not Ready in time, so stsbackup undoes the restore: %s\n", message(ctx, notReady))
	plan, record, err := r.propose(ctx, restore.Request{
		Namespace: report.Namespace, StatefulSet: report.StatefulSet,
		PlanOptions: restore.PlanOptions{Kind: restore.KindUndo, Operation: report.Operation},
	})
	if err != nil {
		return errors.Join(notReady, err)
	}
	undone, err := r.run(ctx, plan, record)
	if err != nil {
		return errors.Join(ui.WriteRestored(r.app.out, r.output, report), notReady, fmt.Errorf("undo it: %w", err))
	}
	return errors.Join(
		ui.WriteRestored(r.app.out, r.output, &undone),
		fmt.Errorf(
			"%w; so stsbackup brought the old volumes back, and set the restored ones aside for a look (stsbackup undo %s/%s --list)",
			notReady,
			report.Namespace,
			report.StatefulSet,
		),
	)
}

// takeBack adds to the error how to take back the restore if the pods do not become Ready.
func takeBack(err error, report *restore.Report) error {
	if !errors.Is(err, restore.ErrNotReady) || len(report.Displaced) == 0 {
		return err
	}
	return fmt.Errorf("%w; to bring back what was there before: \"stsbackup undo %s/%s\"", err, report.Namespace, report.StatefulSet)
}

// run carries out a plan and shows progress.
func (r *restoring) run(ctx context.Context, plan restore.Plan, record catalog.Record) (restore.Report, error) {
	unheard()
	reporter := ui.NewRestore(r.app.screen(r.output), &plan)
	defer reporter.Close()
	r.restorer.Reporter = reporter
	return r.restorer.Run(ctx, plan, record)
}

// agree shows the plan and asks whether to carry it out. A refused plan needs no consent.
func agree(ctx context.Context, a *app, output ui.Format, yes bool, plan *restore.Plan) error {
	if output == ui.Text {
		if err := ui.WriteRestorePlan(a.err, output, plan); err != nil {
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

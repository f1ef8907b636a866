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
	readyTimeout time.Duration
}

func newRestoreCommand(a *app) *cobra.Command {
	c := &restoreCommand{}
	cmd := &cobra.Command{
		Use:   "restore [NAMESPACE/]STATEFULSET[@RECOVERY-POINT]",
		Short: "Bring a StatefulSet back to a recovery point",
		Long: `restore gives every ordinal of a StatefulSet its own data back, as it was at the recovery point: an id, the beginning
of one, an RFC 3339 time (the last one at or before it), or the latest complete one.

The plan is shown first. Then the StatefulSet is scaled to 0, its volumes are set aside, claims are made under the
same names and filled, and when every ordinal is complete it is scaled up again. It makes no difference whether its
claims are there, or some or all are gone, or their volumes are gone. A StatefulSet that has 0 replicas gets those of
the recovery point.

No data is deleted. If anything fails, or is interrupted, before the StatefulSet is scaled up, everything is put back
as it was. After success the old volumes are kept; the report says how to free each of them.`,
		Example: `  stsbackup restore demo/web --dry-run
  stsbackup restore demo/web@20261121T081200Z-3fa9
  stsbackup restore demo/web@2026-11-21T09:00:00Z --yes`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.mover.add(cmd)
	c.output.add(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "show the plan and change nothing")
	cmd.Flags().BoolVar(&c.yes, "yes", false, "do not ask before the restore begins")
	cmd.Flags().DurationVar(&c.readyTimeout, "ready-timeout", 10*time.Minute, "how long the restored pods may take to become Ready")
	return cmd
}

func (c *restoreCommand) run(ctx context.Context, a *app, arg string) error {
	if !c.yes && !c.dryRun && (!a.terminal || c.output == outputJSON) {
		return usageErrorf("a restore asks before it begins, and nobody can answer here: give --yes to go ahead, or --dry-run to see the plan")
	}
	if err := errors.Join(checkTimeout("ready-timeout", c.readyTimeout), checkTimeout("mover-start-timeout", c.mover.startTimeout)); err != nil {
		return err
	}
	t, err := parseTarget(arg, c.kube.namespace)
	if err != nil {
		return err
	}
	at, err := openScene(a, &c.kube, &c.repo, t)
	if err != nil {
		return err
	}
	t = at.target
	mover, err := c.mover.config(ctx, a, at.store, t)
	if err != nil {
		return err
	}
	points, err := catalog.Open(ctx, at.store.root, t.namespace, t.statefulSet, at.store.password(t))
	if err != nil {
		return err
	}
	record, err := points.Find(ctx, t.recoveryPoint)
	if err != nil {
		return err
	}
	situation, err := restore.Look(ctx, at.client, record, t.namespace, t.statefulSet)
	if err != nil {
		return err
	}
	plan := restore.NewPlan(situation)
	if c.dryRun {
		return errors.Join(printRestorePlan(a.out, c.output, &plan), plan.Err())
	}
	reporter := newRestoreReporter(a, c.output, &plan)
	if err := c.agree(ctx, a, &plan); err != nil {
		return err
	}
	restorer := &restore.Restorer{
		Cluster:  at.client,
		Filler:   &restore.Movers{Cluster: at.client, Config: mover, PasswordFile: cluster.MoverFiles + "/" + moverPassword},
		Reporter: reporter,
		Now:      a.now,
		Random:   a.random,
		Holder:   holder(a),
		Limits:   restore.Limits{Ready: c.readyTimeout},
	}
	report, err := restorer.Run(ctx, plan, record)
	reporter.close()
	if len(report.Volumes) == 0 {
		return err
	}
	return errors.Join(printRestored(a.out, c.output, &report), err)
}

// agree shows the plan and asks whether to carry it out. A plan that is refused needs no consent, unless something has
// to be put back first.
func (c *restoreCommand) agree(ctx context.Context, a *app, plan *restore.Plan) error {
	if c.output == outputText {
		if err := printRestorePlan(a.err, c.output, plan); err != nil {
			return err
		}
	}
	if len(plan.Refusals) > 0 && plan.Interrupted == "" {
		return plan.Err()
	}
	if c.yes {
		return nil
	}
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
		return "", fmt.Errorf("wait for an answer: %w", context.Cause(ctx))
	case r := <-replies:
		if r.err != nil && r.text == "" {
			return "", fmt.Errorf("read the answer: %w; give --yes to go ahead without being asked", r.err)
		}
		return strings.TrimSpace(r.text), nil
	}
}

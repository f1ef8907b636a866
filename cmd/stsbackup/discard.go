package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/cluster/displaced"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// allWithDisplaced says what --all chooses for commands about volumes that were set aside.
const allWithDisplaced = "every StatefulSet of the namespace that has volumes set aside, also if the cluster no longer has it"

// discardCommand holds the flags of stsbackup discard.
type discardCommand struct {
	kube      kubeFlags
	choose    chooseFlags
	output    ui.Format
	ordinals  ordinalsFlag
	operation operationFlag
	olderThan spanFlag
	goAhead
}

func newDiscardCommand(a *app) *cobra.Command {
	c := &discardCommand{}
	cmd := &cobra.Command{
		Use:   "discard [NAMESPACE/]STATEFULSET...",
		Short: "Free the volumes that restores have set aside",
		Long: `discard frees volumes that restores have set aside. First it shows each volume's size, age, class, and the operation that set
it aside, and asks. An undo cannot bring back what discard has freed.

If a provisioner made the volume, its driver deletes the volume and the data on it; discard waits up to two minutes for that. If
a person made it, the volume becomes Available to any claim, with the data still on it.

--ordinals, --operation and --older-than choose among the volumes. --older-than counts what one operation has set aside as a
whole. The StatefulSet and its namespace need not exist any more.

discard frees nothing that is in use: a volume that a claim holds again, that Kubernetes does not call Released, that a node
is attached to or a pod uses; and nothing at all while a restore of the StatefulSet has not ended. It checks each volume once
more right before it changes it.

The exit code is 5 if one of these stands in the way, and 1 if some volumes could not be freed; discard names them.`,
		Example: `  stsbackup discard demo/web --dry-run
  stsbackup discard demo/web --ordinals 0,2
  stsbackup discard --all --all-namespaces --older-than 30d --yes`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.choose.oneOrChosen(cmd, &c.kube, args); err != nil {
				return err
			}
			asker := rightsAsker{kube: &c.kube, verb: "discard", args: args, everywhere: c.choose.allNamespaces, dryRun: c.dryRun}
			return asker.explain(cmd.Context(), a, c.run(cmd.Context(), a, args))
		},
	}
	c.kube.add(cmd)
	c.choose.add(cmd, allWithDisplaced)
	addOutput(cmd, &c.output)
	cmd.Flags().Var(&c.ordinals, "ordinals", "free those of these `ordinals` only, such as 0,2")
	cmd.Flags().Var(&c.operation, "operation", "free only what this operation has set aside: its `id`, or the beginning of just one")
	cmd.Flags().Var(&c.olderThan, "older-than", "free only what was set aside longer ago than this, such as 36h, 30d or 1y6mo")
	c.addGoAhead(cmd, "show what would be freed, and change nothing", "do not ask before volumes are freed")
	return cmd
}

// discarding is a StatefulSet and what discard would free for it; err says why that is unknown.
type discarding struct {
	target
	plan displaced.Plan
	err  error
}

func (c *discardCommand) run(ctx context.Context, a *app, args []string) error {
	if c.unanswered(a, c.output) {
		return usageErrorf(
			"discard asks before it frees anything, and nobody can answer here: give --yes to go ahead, or --dry-run to see what it would free",
		)
	}
	for _, arg := range args {
		if name, point, ok := strings.Cut(arg, "@"); ok {
			return usageErrorf("discard frees what restores of %s have set aside, whatever the recovery point; leave @%s out", name, point)
		}
	}
	client, _, err := cluster.Connect(c.kube.kubeconfig, c.kube.context)
	if err != nil {
		return err
	}
	targets, err := c.targets(ctx, a, client, args)
	if err != nil {
		return err
	}
	plans := map[target]*discarding{}
	for _, t := range targets {
		owner := displaced.Owner{Namespace: t.namespace, StatefulSet: t.statefulSet}
		plan, err := displaced.Propose(ctx, client, owner, c.request(a), len(args) > 0)
		plans[t] = &discarding{target: t, plan: plan, err: errors.Join(err, plan.Err())}
	}
	if c.dryRun {
		return each(ctx, a, c.output, targets, func(_ context.Context, t target) (*displaced.Plan, error) { return plans[t].shown() },
			func(w io.Writer, _ target, plan *displaced.Plan) error {
				return ui.WriteDiscardPlan(w, c.output, plan, a.now())
			})
	}
	if err := c.agree(ctx, a, targets, plans); err != nil {
		return err
	}
	return each(ctx, a, c.output, targets, func(ctx context.Context, t target) (*displaced.Report, error) {
		if err := plans[t].err; err != nil {
			return nil, err
		}
		report, err := discard(ctx, a, client, plans[t].plan, func(text string) { fmt.Fprintln(a.err, ui.Plain(text)) })
		return &report, err
	}, func(w io.Writer, _ target, report *displaced.Report) error {
		ui.WriteDiscarded(w, report)
		return nil
	})
}

// shown returns the plan, as far as it is known.
func (d *discarding) shown() (*displaced.Plan, error) {
	if d.plan.StatefulSet == "" {
		return nil, d.err
	}
	return &d.plan, d.err
}

// targets returns the StatefulSets that are named or chosen.
func (c *discardCommand) targets(ctx context.Context, a *app, client *cluster.Client, args []string) ([]target, error) {
	if !c.choose.any() {
		return c.kube.named(args)
	}
	namespace, err := c.choose.namespace(&c.kube)
	if err != nil {
		return nil, err
	}
	volumes, err := displaced.List(ctx, client, namespace, "")
	if err != nil {
		return nil, err
	}
	var has []target
	for _, owner := range displaced.Owners(volumes) {
		has = append(has, target{namespace: owner.Namespace, statefulSet: owner.StatefulSet})
	}
	if c.choose.selector.given() {
		sets, err := c.choose.ofCluster(ctx, &c.kube, client)
		if err != nil {
			return nil, err
		}
		all := has
		has = nil
		for _, set := range sets {
			if t := (target{namespace: set.Namespace, statefulSet: set.Name}); slices.Contains(all, t) {
				has = append(has, t)
			}
		}
	}
	if len(has) == 0 {
		more := ""
		if namespace != "" {
			more = "; -A looks in all namespaces"
		}
		fmt.Fprintf(a.err, "No volumes are set aside in %s%s.\n", placeOf(namespace), more)
	}
	return has, nil
}

// request says what to free for each StatefulSet.
func (c *discardCommand) request(a *app) displaced.Request {
	request := displaced.Request{Ordinals: c.ordinals, Operation: string(c.operation)}
	if c.olderThan != (spanFlag{}) {
		request.Before = calendar.Span(c.olderThan).Before(a.now().UTC())
	}
	return request
}

// agree shows what discard would free and asks whether to do it. If there is nothing to free, or everything is refused,
// it asks nothing.
func (c *discardCommand) agree(ctx context.Context, a *app, targets []target, plans map[target]*discarding) error {
	ask := false
	for _, t := range targets {
		d := plans[t]
		if c.output == ui.Text && d.plan.StatefulSet != "" {
			if err := ui.WriteDiscardPlan(a.err, c.output, &d.plan, a.now()); err != nil {
				return err
			}
		}
		ask = ask || d.err == nil && len(d.plan.Volumes) > 0
	}
	if c.yes || !ask {
		return nil
	}
	return askYes(ctx, a)
}

// discard carries a plan out.
func discard(ctx context.Context, a *app, client *cluster.Client, plan displaced.Plan, note func(string)) (displaced.Report, error) {
	id, err := catalog.NewID(a.now(), a.random)
	if err != nil {
		return displaced.Report{}, err
	}
	op := cluster.Operation{ID: string(id), Kind: "discard", Namespace: plan.Namespace, StatefulSet: plan.StatefulSet}
	d := &displaced.Discarder{Cluster: client, Holder: holder(a), Note: note}
	return d.Run(ctx, op, plan)
}

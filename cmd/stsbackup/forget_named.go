package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// namedRemoval is what forget has been asked for by name, as it was found.
type namedRemoval struct {
	points    *catalog.Catalog
	target    target
	ids       []string
	forgotten []catalog.Forgotten
	// known says that all could be looked at; then removal says what it means.
	known   bool
	removal catalog.Removal
}

// parseNamed reads which recovery points the arguments name: the ids, or the beginnings of ids.
func parseNamed(args []string, now time.Time) (ids []string, err error) {
	for _, arg := range args {
		name, id, ok := strings.Cut(arg, "@")
		_, isTime := catalog.Moment(id, now)
		first, _, _ := strings.Cut(args[0], "@")
		switch {
		case !ok || id == "" || id == "latest":
			return nil, usageErrorf(
				"%q does not say which recovery point to forget; write %s@ID (\"stsbackup list\" shows the ids), or what to keep, such as "+
					"--keep-last 7",
				arg,
				name,
			)
		case isTime:
			return nil, usageErrorf(
				"%q names a recovery point by a time; forget takes only ids: write %s@ID (\"stsbackup list\" shows the ids)",
				arg,
				name,
			)
		case name != first:
			return nil, usageErrorf("%q and %q belong to different StatefulSets; forget one StatefulSet's recovery points at a "+
				"time", args[0], arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// runNamed forgets the recovery points that the arguments name.
func (c *forgetCommand) runNamed(ctx context.Context, a *app, args []string) error {
	ids, err := parseNamed(args, a.now())
	if err != nil {
		return err
	}
	points, t, err := c.open(ctx, a, args[0])
	if err != nil {
		return err
	}
	t.recoveryPoint = "" // from here on it is the StatefulSet
	named, err := c.look(ctx, a, points, t, ids)
	if err != nil {
		return err
	}
	refused := c.refusal(named)
	switch {
	case c.dryRun:
		return errors.Join(c.printForgotten(a, named.target, named.forgotten), refused)
	case refused != nil:
		return refused
	}
	if err := c.agreeToForget(ctx, a, named); err != nil {
		return err
	}
	forgotten, err := c.forgetNamed(ctx, a, named)
	return errors.Join(c.printForgotten(a, t, forgotten), err)
}

// look finds the recovery points. With --force it goes on where not all can be looked at.
func (c *forgetCommand) look(ctx context.Context, a *app, points *catalog.Catalog, t target, ids []string) (*namedRemoval, error) {
	named := &namedRemoval{points: points, target: t, ids: ids}
	found, err := points.Points(ctx)
	if found == nil {
		if c.force && !c.dryRun && ctx.Err() == nil {
			return named, nil
		}
		return nil, fmt.Errorf("%w; \"stsbackup repair %s\" may mend it, and --force forgets without looking", err, t)
	}
	// What cannot be read is forgotten all the same.
	if named.forgotten, err = catalog.Resolve(found, ids...); err != nil {
		return nil, err
	}
	named.known, named.ids = true, nil
	for _, point := range named.forgotten {
		named.ids = append(named.ids, point.ID)
	}
	named.removal = catalog.RemovalOf(found, named.ids, a.now())
	return named, nil
}

// refusal says why what is named is not forgotten without --force.
func (c *forgetCommand) refusal(named *namedRemoval) error {
	if c.force || len(named.removal.Newest) == 0 {
		return nil
	}
	next := "make a new recovery point first, or give --force"
	if named.removal.Left == 0 {
		next = "without it there is nothing left to restore from; make a new recovery point first, or give --force"
	}
	return &cluster.Refusal{
		Object: fmt.Sprintf("recovery point %s of %s", strings.Join(named.removal.Newest, ", "), named.target),
		Reason: "it is the newest complete one, which a restore would take",
		Next:   next,
	}
}

// agreeToForget asks a person. Scripts go on without being asked, unless no complete recovery point would be left.
func (c *forgetCommand) agreeToForget(ctx context.Context, a *app, named *namedRemoval) error {
	last := !named.known || named.removal.Complete > 0 && named.removal.Left == 0
	canAsk := a.terminal && c.output == outputText
	switch {
	case c.yes, named.known && named.removal.Complete == 0:
		return nil
	case last && !canAsk:
		return usageErrorf(
			"this may leave no complete recovery point of %s, and nobody can answer here; give --yes to go ahead",
			named.target,
		)
	case !canAsk:
		return nil
	}
	for _, point := range named.forgotten {
		fmt.Fprintf(a.err, "To forget: recovery point %s of %s (%d volumes)\n", ui.Printable(point.ID), named.target, point.Volumes)
	}
	switch {
	case !named.known:
		fmt.Fprintf(a.err, "stsbackup cannot read the recovery points of %s, so it does not know what would be left.\n", named.target)
	case last:
		fmt.Fprintf(a.err, "No complete recovery point of %s would be left to restore from.\n", named.target)
	default:
		fmt.Fprintf(a.err, "%d complete recovery points of %s would be left.\n", named.removal.Left, named.target)
	}
	return askYes(ctx, a)
}

// forgetNamed forgets them. Without --force it is judged anew where nobody can remove another recovery point meanwhile.
func (c *forgetCommand) forgetNamed(ctx context.Context, a *app, named *namedRemoval) ([]catalog.Forgotten, error) {
	points := named.points
	if c.force {
		return c.upkeep(
			a,
			c.lock,
		).forget(
			ctx,
			points,
			func(ctx context.Context) ([]catalog.Forgotten, error) { return points.Forget(ctx, named.ids...) },
		)
	}
	var refused error
	choose := func(found []catalog.Point) []string {
		now := *named
		now.removal = catalog.RemovalOf(found, named.ids, a.now())
		if refused = c.refusal(&now); refused != nil {
			return nil
		}
		return named.ids
	}
	forgotten, err := c.upkeep(
		a,
		c.lock,
	).forget(
		ctx,
		points,
		func(ctx context.Context) ([]catalog.Forgotten, error) { return points.ForgetChosen(ctx, choose) },
	)
	return forgotten, errors.Join(err, refused)
}

// printForgotten shows what has been forgotten, or with a dry run what would be.
func (c *forgetCommand) printForgotten(a *app, t target, forgotten []catalog.Forgotten) error {
	if c.output == outputJSON {
		if forgotten == nil {
			return nil
		}
		return ui.WriteJSON(a.out, forgotten)
	}
	verb := "forgot"
	if c.dryRun {
		verb = "would forget"
	}
	for _, point := range forgotten {
		what := "recovery point"
		if !point.Recorded {
			what = "what was left of recovery point"
		}
		fmt.Fprintf(a.out, "%s %s %s of %s/%s (%d volumes)\n", verb, what, ui.Printable(point.ID), t.namespace, t.statefulSet, point.Volumes)
	}
	return nil
}

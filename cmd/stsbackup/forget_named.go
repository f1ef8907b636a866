package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

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
	t, err := c.kube.target(args[0])
	if err != nil {
		return err
	}
	u, err := c.upkeep(a, c.lock)
	if err != nil {
		return err
	}
	u.Confirm = func(ctx context.Context, question upkeep.Question) error { return c.agree(ctx, a, question) }
	forgotten, err := u.Forget(ctx, upkeep.ForgetRequest{StatefulSet: t.name(), IDs: ids, Force: c.force, DryRun: c.dryRun})
	return errors.Join(c.printForgotten(a, t, forgotten), err)
}

// agree asks a person. Scripts go on without being asked, unless no complete recovery point would be left.
func (c *forgetCommand) agree(ctx context.Context, a *app, question upkeep.Question) error {
	canAsk := a.terminal && c.output == outputText
	switch {
	case c.yes:
		return nil
	case question.Last && !canAsk:
		return usageErrorf(
			"this may leave no complete recovery point of %s, and nobody can answer here; give --yes to go ahead",
			question.StatefulSet,
		)
	case !canAsk:
		return nil
	}
	for _, point := range question.Forgotten {
		fmt.Fprintf(a.err, "To forget: recovery point %s of %s (%d volumes)\n", ui.Printable(point.ID), question.StatefulSet, point.Volumes)
	}
	switch {
	case !question.Known:
		fmt.Fprintf(a.err, "stsbackup cannot read the recovery points of %s, so it does not know what would be "+
			"left.\n", question.StatefulSet)
	case question.Last:
		fmt.Fprintf(a.err, "No complete recovery point of %s would be left to restore from.\n", question.StatefulSet)
	default:
		fmt.Fprintf(a.err, "%d complete recovery points of %s would be left.\n", question.Left, question.StatefulSet)
	}
	return askYes(ctx, a)
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

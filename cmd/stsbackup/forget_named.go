package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// parseNamed reads which recovery points the arguments name, by ids or prefixes of ids.
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
	return errors.Join(ui.WriteForgotten(a.out, c.output, t.name(), forgotten, c.dryRun), err)
}

// agree asks a person. In scripts it asks nobody and goes on, unless no complete recovery point would be left.
func (c *forgetCommand) agree(ctx context.Context, a *app, question upkeep.Question) error {
	canAsk := a.terminal && c.output == ui.Text
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
	ui.WriteForgetQuestion(a.err, question)
	return askYes(ctx, a)
}

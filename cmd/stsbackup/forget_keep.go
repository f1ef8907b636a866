package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/scheduler/clock"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

// keepFlags say which recovery points to keep.
type keepFlags struct {
	rules retention.Rules
	zone  string
	given bool
}

func (f *keepFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&f.rules.Last, "keep-last", 0, "keep the `n` newest")
	for _, rule := range []struct {
		count        *int
		name, period string
	}{
		{&f.rules.Hourly, "hourly", "hours"},
		{&f.rules.Daily, "daily", "days"},
		{&f.rules.Weekly, "weekly", "weeks"},
		{&f.rules.Monthly, "monthly", "months"},
		{&f.rules.Yearly, "yearly", "years"},
	} {
		flags.IntVar(rule.count, "keep-"+rule.name, 0, "keep the newest of each of the last `n` "+rule.period+" that have one")
	}
	flags.Var((*spanFlag)(&f.rules.Within), "keep-within", "keep those that are less than this much older than the newest, such as 36h, "+
		"30d or 1y6mo")
	flags.StringVar(&f.zone, "keep-time-zone", "UTC", "time `zone` in which days, weeks, months and years begin, such as Europe/Berlin")
}

// anyChanged reports whether the command line has one of the flags, whatever its value.
func (f *keepFlags) anyChanged(cmd *cobra.Command) bool {
	for _, name := range []string{"last", "hourly", "daily", "weekly", "monthly", "yearly", "within", "time-zone"} {
		if cmd.Flags().Changed("keep-" + name) {
			return true
		}
	}
	return false
}

// read parses and checks the flags.
func (f *keepFlags) read() (retention.Rules, *time.Location, error) {
	if err := f.rules.Check(); err != nil {
		return retention.Rules{}, nil, usageErrorf("--keep-...: %w", err)
	}
	zone, err := clock.Zone(f.zone)
	if err != nil {
		return retention.Rules{}, nil, usageErrorf("--keep-time-zone: %w", err)
	}
	return f.rules, zone, nil
}

// runKeep forgets the recovery points that no rule keeps.
func (c *forgetCommand) runKeep(ctx context.Context, a *app, args []string) error {
	rules, zone, err := c.keep.read()
	if err != nil {
		return err
	}
	u, err := c.upkeep(a, c.lock)
	if err != nil {
		return err
	}
	for _, arg := range args {
		if strings.Contains(arg, "@") {
			return usageErrorf("%q names a recovery point; say which to forget or what to keep, not both", arg)
		}
	}
	targets, err := c.choose.repositories(ctx, a, &c.kube, u, args, optedOut)
	if err != nil {
		return err
	}
	var results []ui.Kept
	var failures []error
	for _, t := range targets {
		if ctx.Err() != nil {
			failures = append(failures, context.Cause(ctx))
			break
		}
		done, err := u.Keep(ctx, upkeep.KeepRequest{StatefulSet: t.name(), Rules: rules, Zone: zone, DryRun: c.dryRun})
		result := ui.Kept{KeepResult: done}
		if err != nil {
			result.Error = message(ctx, err)
		}
		results, failures = append(results, result), append(failures, err)
	}
	err = ui.WriteKept(a.out, a.err, c.output, results, a.now())
	return joined(append(failures, err)...)
}

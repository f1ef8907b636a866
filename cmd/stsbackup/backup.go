package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/backup/capture"
	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/method"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
)

// backupCommand holds the flags of stsbackup backup.
type backupCommand struct {
	kube            kubeFlags
	repo            repoFlags
	choose          chooseFlags
	mover           moverFlags
	output          ui.Format
	lock            lockFlag
	method          methodFlag
	compression     compressionFlag
	snapshotClass   string
	snapshotTimeout time.Duration
	readyTimeout    time.Duration
	parallel        int
	dryRun          bool
	adoptCluster    bool
}

func newBackupCommand(a *app) *cobra.Command {
	c := &backupCommand{method: methodFlag(method.Auto)}
	cmd := &cobra.Command{
		Use:   "backup [NAMESPACE/]STATEFULSET...",
		Short: "Make a recovery point of each StatefulSet that is named or chosen",
		Long: `backup saves the claims of all ordinals of a StatefulSet, and its manifests, as one recovery point.

--method decides how each volume is captured:
` + method.Help() + `

backup names everything that belongs to the StatefulSet and is not in the recovery point.

It backs up several StatefulSets in turn: those that you name, those that --selector selects, or --all; in one namespace, or
with -A in all. If one fails, it still backs up the others, and exits with the most serious code: 1 before 4, 5 and 3. With
-o json it prints one document for each StatefulSet as soon as that is done: the recovery point, or the error.

With --selector and --all it skips, and names, StatefulSets that have no volumeClaimTemplates, are scaled to 0, or have the
annotation stsbackup.io/policy=none. If none is left, the exit code is 4.`,
		Example: `  stsbackup backup demo/web
  stsbackup backup web -n demo --method live --dry-run
  stsbackup backup --selector tier=db --all-namespaces --parallel 2`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.check(cmd, args); err != nil {
				return err
			}
			asker := rightsAsker{kube: &c.kube, verb: "backup", args: args, everywhere: c.choose.allNamespaces, dryRun: c.dryRun}
			return asker.explain(cmd.Context(), a, c.run(cmd.Context(), a, args))
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.choose.add(cmd, "every StatefulSet of the namespace")
	c.mover.add(cmd)
	addOutput(cmd, &c.output)
	c.lock.add(cmd)
	cmd.Flags().Var(&c.method, "method", "how to capture volumes: auto, snapshot or live")
	c.compression.add(cmd)
	cmd.Flags().StringVar(&c.snapshotClass, "snapshot-class", "", "`name` of the VolumeSnapshotClass to use (default: the driver's default)")
	cmd.Flags().DurationVar(&c.snapshotTimeout, "snapshot-timeout", backup.DefaultSnapshotTimeout,
		"give up on a volume when its driver takes no VolumeSnapshot, or only reports errors, for this long")
	cmd.Flags().DurationVar(&c.readyTimeout, "snapshot-ready-timeout", backup.DefaultReadyTimeout,
		"give up on a volume when its VolumeSnapshot isn't ready this long after the cut; some storage copies it elsewhere first")
	cmd.Flags().IntVar(
		&c.parallel,
		"parallel",
		1,
		"copy up to this `number` of a StatefulSet's volumes at once; 1 stores the least, because each ordinal reuses what the ones "+
			"before it stored",
	)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "check and show what would be done, and change nothing")
	cmd.Flags().BoolVar(&c.adoptCluster, "adopt-cluster", false, "accept a repository whose newest recovery point came from another cluster")
	return cmd
}

// check reports what is wrong with the command line, before anything is asked of anyone.
func (c *backupCommand) check(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		if name, point, ok := strings.Cut(arg, "@"); ok {
			return usageErrorf("backup makes a new recovery point; write %s without @%s", name, point)
		}
	}
	if c.parallel < 1 {
		return usageErrorf("--parallel is %d; give a number from 1 on", c.parallel)
	}
	return errors.Join(c.choose.oneOrChosen(cmd, &c.kube, args),
		checkTimeout("snapshot-timeout", c.snapshotTimeout), checkTimeout("snapshot-ready-timeout", c.readyTimeout), c.mover.check())
}

func (c *backupCommand) run(ctx context.Context, a *app, args []string) error {
	named, err := c.kube.named(args)
	if err != nil {
		return err
	}
	url, err := c.repo.location(a)
	if err != nil {
		return err
	}
	if _, err := c.mover.location(a, url); err != nil {
		return err
	}
	at, err := openScene(a, &c.kube, &c.repo, target{})
	if err != nil {
		return err
	}
	targets, err := c.targets(ctx, a, at.client, named)
	if err != nil {
		return err
	}
	do := func(ctx context.Context, t target) (*catalog.Record, error) {
		at.target = t
		return c.backUp(ctx, a, at)
	}
	return each(ctx, a, c.output, targets, do, func(w io.Writer, _ target, record *catalog.Record) error {
		return ui.WriteRecord(w, ui.Text, *record)
	})
}

// targets returns the StatefulSets to back up. If the flags, and not names, choose them, then a StatefulSet that has
// nothing to back up, or whose owner has excepted it, is no failure.
func (c *backupCommand) targets(ctx context.Context, a *app, client *cluster.Client, named []target) ([]target, error) {
	if !c.choose.any() {
		return named, nil
	}
	sets, err := c.choose.ofCluster(ctx, &c.kube, client)
	if err != nil {
		return nil, err
	}
	chosen, passed := backup.Choose(sets, optedOut)
	for _, set := range passed {
		fmt.Fprintf(a.err, "%s is skipped: %s.\n", set.Name, set.Why)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w: nothing to back up: all of the chosen StatefulSets were skipped (reasons above)", cluster.ErrNotFound)
	}
	return targetsOf(chosen), nil
}

// backUp makes one recovery point and shows progress. If the recovery point is incomplete, it returns both a record and
// an error.
func (c *backupCommand) backUp(ctx context.Context, a *app, at scene) (*catalog.Record, error) {
	mover, err := c.mover.config(ctx, a, at.store, at.target)
	if err != nil {
		return nil, err
	}
	reporter := c.reporter(a, at.target)
	defer reporter.Close()
	maker := makerOf(a, at.client, at.store, reporter)
	maker.Planned = reporter.Planned
	return maker.Make(ctx, signed(a, at.target.name(), backup.Request{
		Capture:         capture.Options{Method: method.Method(c.method), SnapshotClass: c.snapshotClass},
		AdoptCluster:    c.adoptCluster,
		DryRun:          c.dryRun,
		Mover:           mover,
		Parallel:        c.parallel,
		RetryLock:       c.lock.limit,
		Compression:     c.compression.level,
		SnapshotTimeout: c.snapshotTimeout, SnapshotReadyTimeout: c.readyTimeout,
	}))
}

// makerOf makes recovery points of a cluster's StatefulSets below the root.
func makerOf(a *app, client *cluster.Client, root *location.Root, reporter report.Reporter) *backup.Maker {
	return &backup.Maker{Cluster: client, Root: root, Now: a.now, Random: a.random, Reporter: reporter}
}

// signed adds to the request its purpose and who asks.
func signed(a *app, of catalog.Name, request backup.Request) backup.Request {
	request.Namespace, request.StatefulSet = of.Namespace, of.StatefulSet
	request.Holder, request.Tool = holder(a), a.version
	return request
}

// reporter shows the backup of a StatefulSet. After a dry run the plan is the result.
func (c *backupCommand) reporter(a *app, t target) *ui.Backup {
	var plan io.Writer
	if c.dryRun {
		plan = a.out
	}
	return ui.NewBackup(a.screen(c.output), t.namespace, t.statefulSet, plan)
}

// methodFlag is --method.
type methodFlag method.Method

// String, Set and Type make a methodFlag a pflag.Value.
func (m *methodFlag) String() string { return string(*m) }

func (m *methodFlag) Set(s string) error {
	parsed, err := method.Parse(s)
	if err == nil {
		*m = methodFlag(parsed)
	}
	return err
}

func (m *methodFlag) Type() string { return strings.Join(method.Names(), "|") }

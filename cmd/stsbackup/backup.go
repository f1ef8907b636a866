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
	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// backupCommand holds the flags of stsbackup backup.
type backupCommand struct {
	kube            kubeFlags
	repo            repoFlags
	choose          chooseFlags
	mover           moverFlags
	output          outputFlag
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
	c := &backupCommand{method: methodFlag(backup.MethodAuto)}
	cmd := &cobra.Command{
		Use:   "backup [NAMESPACE/]STATEFULSET...",
		Short: "Make a recovery point of each StatefulSet that is named or chosen",
		Long: `backup saves the claims of all ordinals of a StatefulSet, and its manifests, as one recovery point.

--method decides how each volume is captured:
  auto      snapshot where the volume's CSI driver has a VolumeSnapshotClass, else live
  snapshot  by a VolumeSnapshot of each volume; refused where a volume can have none
  live      by reading the claim itself, read-only, while its pod runs

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
		return ui.WriteRecord(w, outputText, *record)
	})
}

// targets are the StatefulSets to back up. Of those that are chosen and not named, the ones that have nothing to back up,
// or that their owners have excepted, are no failure.
func (c *backupCommand) targets(ctx context.Context, a *app, client *cluster.Client, named []target) ([]target, error) {
	if !c.choose.any() {
		return named, nil
	}
	sets, err := c.choose.ofCluster(ctx, &c.kube, client)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, set := range sets {
		t := target{namespace: set.Namespace, statefulSet: set.Name}
		why := optedOut(set)
		if why == "" {
			why = backup.Nothing(set)
		}
		if why != "" {
			fmt.Fprintf(a.err, "%s is skipped: %s.\n", t, why)
			continue
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf(
			"%w: nothing to back up: none of the chosen StatefulSets has a volume (listed above)",
			cluster.ErrNotFound,
		)
	}
	return targets, nil
}

// backUp makes one recovery point, and shows how it goes. There is a record beside an error if it is incomplete.
func (c *backupCommand) backUp(ctx context.Context, a *app, at scene) (*catalog.Record, error) {
	mover, err := c.mover.config(ctx, a, at.store, at.target)
	if err != nil {
		return nil, err
	}
	reporter := c.reporter(a, at.target)
	defer reporter.Close()
	return makeRecoveryPoint(ctx, a, at, reporter, backup.Request{
		Plan:            backup.PlanOptions{Method: backup.Method(c.method), SnapshotClass: c.snapshotClass},
		AdoptCluster:    c.adoptCluster,
		DryRun:          c.dryRun,
		Mover:           mover,
		Parallel:        c.parallel,
		RetryLock:       c.lock.limit,
		Compression:     c.compression.level,
		SnapshotTimeout: c.snapshotTimeout, SnapshotReadyTimeout: c.readyTimeout,
	})
}

// reporter shows the backup of a StatefulSet. After a dry run the plan is the result.
func (c *backupCommand) reporter(a *app, t target) *ui.Backup {
	var plan io.Writer
	if c.dryRun {
		plan = a.out
	}
	return ui.NewBackup(a.screen(c.output), t.namespace, t.statefulSet, plan)
}

// makeRecoveryPoint makes one of the scene's target, as the request says; what the scene and this process say of it is
// filled in. The record is nil after a dry run, and comes beside an error if it is incomplete.
func makeRecoveryPoint(ctx context.Context, a *app, at scene, reporter backup.Reporter, request backup.Request) (*catalog.Record, error) {
	request.Namespace, request.StatefulSet = at.target.namespace, at.target.statefulSet
	request.Holder, request.Tool = holder(a), a.version
	engine := &backup.Engine{
		Cluster:      at.client,
		Repositories: storeOf{store: at.store, target: at.target, retryLock: request.RetryLock, note: reporter.Note},
		Now:          a.now,
		Random:       a.random,
		Reporter:     reporter,
	}
	record, err := engine.Run(ctx, request)
	if err != nil || record == nil {
		return nil, err
	}
	if record.State != catalog.StateIncomplete {
		return record, nil
	}
	look, cancel := context.WithTimeout(ctx, askClusterWithin)
	defer cancel()
	return record, incomplete(*record, at.client.Gone(look, at.target.namespace, at.target.statefulSet))
}

// incomplete is the error of a recovery point that does not hold all that it set out to. gone says why there will be no
// other, if the StatefulSet is no longer there.
func incomplete(record catalog.Record, gone error) error {
	failed, problems, denied := 0, 0, false
	for _, volume := range record.Volumes {
		if volume.Error != "" {
			failed++
		}
		denied = denied || strings.Contains(volume.Error, " is forbidden: User ") // as every API server says it
		problems += volume.ProblemCount
	}
	what := fmt.Sprintf("recovery point %s of %s/%s is incomplete (%d of %d volumes and %d entries could not be saved)",
		record.ID, record.Namespace, record.StatefulSet, failed, len(record.Volumes), problems)
	if gone != nil {
		return &incompleteError{err: fmt.Errorf("%s: %w; to restore what it holds, give its id", what, gone)}
	}
	return &incompleteError{
		denied: denied,
		err: errors.New(what + "; to restore what it holds, give its id; to save the rest, mend what is listed above and run the " +
			"command again"),
	}
}

// storeOf opens the repository of one StatefulSet for the engine.
type storeOf struct {
	store     *location.Root
	target    target
	retryLock time.Duration
	note      func(string)
}

// Open opens it if there is one.
func (s storeOf) Open(ctx context.Context) (backup.Repository, error) {
	return s.open(ctx, catalog.Open)
}

// OpenOrCreate makes it if there is none.
func (s storeOf) OpenOrCreate(ctx context.Context) (backup.Repository, error) {
	return s.open(ctx, catalog.OpenOrCreate)
}

func (s storeOf) open(ctx context.Context,
	open func(context.Context, storage.Bucket, string, string, repository.Secret) (*catalog.Catalog, error),
) (backup.Repository, error) {
	opened, err := open(ctx, s.store.Bucket(), s.target.namespace, s.target.statefulSet, s.store.Password(s.target.name()))
	if err == nil {
		err = opened.Repository().Writable()
	}
	if err != nil {
		return nil, err
	}
	opened.Repository().SetLockWait(repository.LockWait{Limit: s.retryLock, Blocked: func(_ context.Context, locked error) bool {
		if s.retryLock > 0 {
			s.note(opened.WaitingText(s.retryLock, locked))
		}
		return false
	}})
	opened.Repository().SetLockLeft(func(left error) { s.note("warning: " + left.Error()) })
	return opened, nil
}

// methodFlag is --method.
type methodFlag backup.Method

// String, Set and Type make a methodFlag a pflag.Value.
func (m *methodFlag) String() string { return string(*m) }

func (m *methodFlag) Set(s string) error {
	switch v := backup.Method(s); v {
	case backup.MethodAuto, backup.MethodSnapshot, backup.MethodLive:
		*m = methodFlag(v)
		return nil
	default:
		return fmt.Errorf("%q is none of auto, snapshot and live", s)
	}
}

func (m *methodFlag) Type() string { return "auto|snapshot|live" }

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// backupCommand holds the flags of stsbackup backup.
type backupCommand struct {
	kube            kubeFlags
	repo            repoFlags
	mover           moverFlags
	output          outputFlag
	method          methodFlag
	compression     compressionFlag
	snapshotClass   string
	snapshotTimeout time.Duration
	dryRun          bool
	adoptCluster    bool
}

func newBackupCommand(a *app) *cobra.Command {
	c := &backupCommand{method: methodFlag(backup.MethodAuto)}
	cmd := &cobra.Command{
		Use:   "backup [NAMESPACE/]STATEFULSET",
		Short: "Make a recovery point of a StatefulSet",
		Long: `backup saves the claims of all ordinals of a StatefulSet, with its manifests, as one recovery point.

How each volume is captured is decided by --method:
  auto      snapshot where the volume's CSI driver has a VolumeSnapshotClass, else live
  snapshot  a VolumeSnapshot of each volume; refused where there can be none
  live      the claim itself is read, read-only, while its pod runs

What belongs to the StatefulSet and is not in the recovery point is always named.`,
		Example: `  stsbackup backup demo/web
  stsbackup backup web -n demo --method live --dry-run`,
		Args: exactArgs(1, "one StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), a, args[0])
		},
	}
	c.kube.add(cmd)
	c.repo.add(cmd)
	c.mover.add(cmd)
	c.output.add(cmd)
	cmd.Flags().Var(&c.method, "method", "how to capture volumes: auto, snapshot or live")
	c.compression.add(cmd)
	cmd.Flags().StringVar(&c.snapshotClass, "snapshot-class", "", "`name` of the VolumeSnapshotClass to use (default: the driver's default)")
	cmd.Flags().DurationVar(&c.snapshotTimeout, "snapshot-timeout", 2*time.Minute,
		"give a volume up when its driver has taken no cut, or has reported errors, for this long")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "check and show what would be done, and change nothing")
	cmd.Flags().BoolVar(&c.adoptCluster, "adopt-cluster", false, "accept a repository whose newest recovery point came from another cluster")
	return cmd
}

func (c *backupCommand) run(ctx context.Context, a *app, arg string) error {
	if err := errors.Join(checkTimeout("snapshot-timeout", c.snapshotTimeout), checkTimeout("mover-start-timeout", c.mover.startTimeout)); err != nil {
		return err
	}
	t, err := parseTarget(arg, c.kube.namespace)
	if err != nil {
		return err
	}
	if t.recoveryPoint != "" {
		return usageErrorf("backup makes a new recovery point; write %s without @%s", strings.TrimSuffix(arg, "@"+t.recoveryPoint), t.recoveryPoint)
	}
	url, err := c.repo.location(a)
	if err != nil {
		return err
	}
	if _, err := c.mover.location(a, url); err != nil {
		return err
	}
	at, err := openScene(a, &c.kube, &c.repo, t)
	if err != nil {
		return err
	}
	mover, err := c.mover.config(ctx, a, at.store, at.target)
	if err != nil {
		return err
	}
	reporter := newBackupReporter(a, c.output, c.dryRun)
	engine := &backup.Engine{
		Cluster:      at.client,
		Repositories: storeOf{store: at.store, target: at.target},
		Now:          a.now,
		Random:       a.random,
		Reporter:     reporter,
	}
	record, err := engine.Run(ctx, backup.Request{
		Namespace:       at.target.namespace,
		StatefulSet:     at.target.statefulSet,
		Plan:            backup.PlanOptions{Method: backup.Method(c.method), SnapshotClass: c.snapshotClass},
		AdoptCluster:    c.adoptCluster,
		DryRun:          c.dryRun,
		Holder:          holder(a),
		Tool:            a.version,
		Mover:           mover,
		Compression:     c.compression.level,
		SnapshotTimeout: c.snapshotTimeout,
	})
	reporter.close()
	if err != nil || record == nil {
		return err
	}
	if err := printRecord(a.out, c.output, *record); err != nil {
		return err
	}
	return incomplete(*record)
}

// incomplete is an error if the recovery point does not hold all that it set out to.
func incomplete(record catalog.Record) error {
	if record.State != catalog.StateIncomplete {
		return nil
	}
	failed, problems := 0, 0
	for _, volume := range record.Volumes {
		if volume.Error != "" {
			failed++
		}
		problems += volume.ProblemCount
	}
	return &incompleteError{err: fmt.Errorf("recovery point %s of %s/%s is incomplete (%d of %d volumes and %d entries could not be saved); "+
		"what it holds can be restored by its id; mend what is named above and run the command again",
		record.ID, record.Namespace, record.StatefulSet, failed, len(record.Volumes), problems)}
}

// storeOf opens the repository of one StatefulSet for the engine.
type storeOf struct {
	store  *store
	target target
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
	opened, err := open(ctx, s.store.root, s.target.namespace, s.target.statefulSet, s.store.password(s.target))
	if err != nil {
		return nil, err
	}
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

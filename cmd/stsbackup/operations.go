package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/scheduler"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/scheduler/retention"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// busyAfter is how long the scheduler waits for those who work on a repository and are not known to the cluster.
const busyAfter = 30 * time.Second

// operationsConfig is for repositories below the root that repo names, of StatefulSets of the cluster that kube names. It
// speaks to neither yet, but what is wrong with the flags, the password and the place of the bucket is told.
func operationsConfig(a *app, kube kubeFlags, repo repoFlags, mover moverFlags) (operations.Config, error) {
	store, err := openStore(a, &repo)
	if err != nil {
		return operations.Config{}, err
	}
	if _, err := mover.location(a, store.URL()); err != nil {
		return operations.Config{}, err
	}
	if _, err := resources.Requirements(mover.requests, mover.limits); err != nil {
		return operations.Config{}, usageErrorf("%w", err)
	}
	client, _, err := cluster.Connect(kube.kubeconfig, kube.context)
	if err != nil {
		return operations.Config{}, err
	}
	return operations.Config{
		Root: func() (operations.Root, error) {
			store, err := openStore(a, &repo)
			return &schedulerRoot{app: a, store: store, mover: mover, client: client}, err
		},
		Cluster: client, Namespace: kube.namespace, Holder: holder(a), BusyAfter: busyAfter,
		Now: a.now, Random: a.random, Log: slog.New(slog.NewJSONHandler(a.err, nil)),
	}, nil
}

// schedulerRoot is the root of repositories as it is now. It does what the commands do, by the same functions.
type schedulerRoot struct {
	app    *app
	store  *location.Root
	mover  moverFlags
	client *cluster.Client
}

// targetOf is the name as the commands know it.
func targetOf(of scheduler.Name) target {
	return target{namespace: of.Namespace, statefulSet: of.StatefulSet}
}

// Open implements operations.Root.
func (r *schedulerRoot) Open(ctx context.Context, of scheduler.Name) (*catalog.Catalog, error) {
	return r.store.Open(ctx, targetOf(of).name())
}

// Mover implements operations.Root: what a policy asks for goes before the flags.
func (r *schedulerRoot) Mover(ctx context.Context, of scheduler.Name, options policy.Backup) (cluster.MoverConfig, error) {
	flags := r.mover
	flags.requests, flags.limits = flags.requests.With(options.Requests), flags.limits.With(options.Limits)
	flags.env = flags.env.with(options.Env)
	return flags.config(ctx, r.app, r.store, targetOf(of))
}

// BackUp implements operations.Root.
func (r *schedulerRoot) BackUp(
	ctx context.Context,
	of scheduler.Name,
	reporter backup.Reporter,
	request backup.Request,
) (*catalog.Record, error) {
	return makeRecoveryPoint(ctx, r.app, scene{target: targetOf(of), store: r.store, client: r.client}, reporter, request)
}

// Keep implements operations.Root.
func (r *schedulerRoot) Keep(ctx context.Context, of scheduler.Name, alone operations.Alone,
	decide func([]retention.Point) []retention.Decision,
) (removed int, err error) {
	result, err := upkeepOf(alone).keep(ctx, r.store, targetOf(of), false, decide)
	return len(result.Forgotten), err
}

// Prune implements operations.Root.
func (r *schedulerRoot) Prune(ctx context.Context, of scheduler.Name, alone operations.Alone) error {
	_, err := upkeepOf(alone).prune(ctx, r.store, targetOf(of), false)
	return err
}

// Verify implements operations.Root.
func (r *schedulerRoot) Verify(
	ctx context.Context,
	of scheduler.Name,
	options repository.CheckOptions,
) (*catalog.Verification, error) {
	result, err := verify(ctx, r.store, targetOf(of), options)
	if result == nil {
		return nil, err
	}
	return &result.Verification, err
}

// upkeepOf is the upkeep of the scheduler.
func upkeepOf(alone operations.Alone) *upkeep {
	return &upkeep{
		connect:   func() (*cluster.Client, error) { return alone.Cluster, nil },
		note:      alone.Note,
		retryLock: alone.RetryLock,
		operation: alone.Operation,
		guard:     alone.Guard,
	}
}

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/backup"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/scheduler/policy"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
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
		Root:    func() (*location.Root, error) { return openStore(a, &repo) },
		Engine:  &schedulerEngine{app: a, mover: mover, client: client},
		Cluster: client, Namespace: kube.namespace, Holder: holder(a), BusyAfter: busyAfter,
		Now: a.now, Random: a.random, Log: slog.New(slog.NewJSONHandler(a.err, nil)),
	}, nil
}

// schedulerEngine makes recovery points as the command does, by the same functions.
type schedulerEngine struct {
	app    *app
	mover  moverFlags
	client *cluster.Client
}

// Mover implements operations.Engine: what a policy asks for goes before the flags.
func (e *schedulerEngine) Mover(
	ctx context.Context,
	root *location.Root,
	of catalog.Name,
	options policy.Backup,
) (cluster.MoverConfig, error) {
	flags := e.mover
	flags.requests, flags.limits = flags.requests.With(options.Requests), flags.limits.With(options.Limits)
	flags.env = flags.env.with(options.Env)
	return flags.config(ctx, e.app, root, target{namespace: of.Namespace, statefulSet: of.StatefulSet})
}

// BackUp implements operations.Engine.
func (e *schedulerEngine) BackUp(
	ctx context.Context,
	root *location.Root,
	of catalog.Name,
	reporter report.Reporter,
	request backup.Request,
) (*catalog.Record, error) {
	return makerOf(e.app, e.client, root, reporter).Make(ctx, signed(e.app, of, request))
}

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
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
		Root: func() (*location.Root, error) { return openStore(a, &repo) },
		Mover: func(ctx context.Context, root *location.Root, of catalog.Name, options policy.Backup) (cluster.MoverConfig, error) {
			return mover.under(options).config(ctx, a, root, target{namespace: of.Namespace, statefulSet: of.StatefulSet})
		},
		Cluster: client, Namespace: kube.namespace, Holder: holder(a), Tool: a.version, BusyAfter: busyAfter,
		Now: a.now, Random: a.random, Log: slog.New(slog.NewJSONHandler(a.err, nil)),
	}, nil
}

// under is what the flags say where a policy, which goes before them, says nothing else.
func (f moverFlags) under(options policy.Backup) *moverFlags {
	f.requests, f.limits = f.requests.With(options.Requests), f.limits.With(options.Limits)
	f.env = f.env.With(options.Env)
	return &f
}

package main

import (
	"log/slog"
	"time"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover/resources"
	"github.com/stsbackup/stsbackup/internal/mover/setup"
	"github.com/stsbackup/stsbackup/scheduler/operations"
	"github.com/stsbackup/stsbackup/storage/location"
)

// busyAfter is how long the scheduler waits for people and programs that work on a repository outside of the cluster.
const busyAfter = 30 * time.Second

// operationsConfig is the configuration for the repositories below the root that repo names, of the StatefulSets in the
// cluster that kube names. It contacts neither yet, but reports errors in the flags, the password and the bucket's URL.
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
		Root:   func() (*location.Root, error) { return openStore(a, &repo) },
		Movers: mover.options(), Process: setup.Process{Getenv: a.getenv, Version: a.version},
		Cluster: client, Namespace: kube.namespace, Holder: holder(a), BusyAfter: busyAfter,
		Now: a.now, Random: a.random, Log: slog.New(slog.NewJSONHandler(a.err, nil)),
	}, nil
}

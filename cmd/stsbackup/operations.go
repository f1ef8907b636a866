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
		Root:   func() (*location.Root, error) { return openStore(a, &repo) },
		Movers: mover.options(), Process: setup.Process{Getenv: a.getenv, Version: a.version},
		Cluster: client, Namespace: kube.namespace, Holder: holder(a), BusyAfter: busyAfter,
		Now: a.now, Random: a.random, Log: slog.New(slog.NewJSONHandler(a.err, nil)),
	}, nil
}

package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/internal/upkeep/movers"
	"github.com/stsbackup/stsbackup/storage/location"
)

// repositoryFlags are the flags of the commands that look after repositories and need no cluster for that.
type repositoryFlags struct {
	kube   kubeFlags
	repo   repoFlags
	output ui.Format
}

func (f *repositoryFlags) add(cmd *cobra.Command) {
	f.kube.add(cmd)
	f.repo.add(cmd)
	addOutput(cmd, &f.output)
}

// upkeep looks after the repositories that the flags name.
func (f *repositoryFlags) upkeep(a *app, lock lockFlag) (*upkeep.Upkeep, error) {
	root, err := openStore(a, &f.repo)
	if err != nil {
		return nil, err
	}
	return f.upkeepOf(a, root, lock), nil
}

// upkeepOf is upkeep for a root that is already open.
func (f *repositoryFlags) upkeepOf(a *app, root *location.Root, lock lockFlag) *upkeep.Upkeep {
	screen := a.screen(f.output)
	return &upkeep.Upkeep{
		Repositories: root,
		Movers: movers.Cluster{Connect: func() (*cluster.Client, error) {
			client, _, err := cluster.Connect(f.kube.kubeconfig, f.kube.context)
			return client, err
		}},
		RetryLock: lock.limit,
		Now:       a.now,
		Note:      screen.Note,
		Progress:  screen.Packs(),
	}
}

// one is upkeep for the whole repository of the StatefulSet that arg names.
func (f *repositoryFlags) one(a *app, arg string, lock lockFlag) (*upkeep.Upkeep, target, error) {
	if err := wholeRepository(arg); err != nil {
		return nil, target{}, err
	}
	t, err := f.kube.target(arg)
	if err != nil {
		return nil, target{}, err
	}
	u, err := f.upkeep(a, lock)
	return u, t, err
}

// several is upkeep for the repositories of the StatefulSets that are named or chosen.
func (f *repositoryFlags) several(ctx context.Context, a *app, choose *chooseFlags, args []string, lock lockFlag) (
	*upkeep.Upkeep, []target, error,
) {
	u, err := f.upkeep(a, lock)
	if err != nil {
		return nil, nil, err
	}
	targets, err := choose.repositories(ctx, a, &f.kube, u, args, nil)
	return u, targets, err
}

// wholeRepository rejects an argument that names a recovery point.
func wholeRepository(arg string) error {
	if name, point, ok := strings.Cut(arg, "@"); ok {
		return usageErrorf("this works on the whole repository of %s; leave @%s out", name, point)
	}
	return nil
}

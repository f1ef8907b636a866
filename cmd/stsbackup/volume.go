package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func newVolumeCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "volume",
		Short: "Back up, restore and read single volumes, without a cluster",
		Long: `volume works on one volume and needs no Kubernetes. Movers run it in their pods; you can run it on any host that reaches the
bucket.

A volume's data is a repository snapshot in the repository of its StatefulSet. The repository snapshot has one top-level
directory, named after the claim.`,
		Args: rangeArgs(0, 0, "one of the commands backup, restore, ls and cat"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newVolumeBackupCommand(a),
		newVolumeRestoreCommand(a),
		newVolumeLsCommand(a),
		newVolumeCatCommand(a),
		newVolumeProbeCommand(a),
	)
	return cmd
}

// volumeFlags are the flags of all volume commands, apart from those that package contract binds.
type volumeFlags struct{ repo repoFlags }

// repository is the repository of one StatefulSet. Its password is in a file, or is derived from the root password.
func (f *volumeFlags) repository(a *app, t target, passwordFile string) (volume.Repository, error) {
	url, err := f.repo.location(a)
	if err != nil {
		return volume.Repository{}, err
	}
	password, err := f.password(a, t, passwordFile)
	if err != nil {
		return volume.Repository{}, err
	}
	return volume.Repository{Root: f.repo.at(a, url), Of: t.name(), Password: password}, nil
}

func (f *volumeFlags) password(a *app, t target, file string) (repository.Secret, error) {
	if file != "" {
		password, err := readPassword(file, "--"+contract.FlagPasswordFile)
		return repository.Secret(password), err
	}
	root, err := f.repo.password(a)
	if err != nil {
		return "", err
	}
	return catalog.Password(repository.Secret(root), t.namespace, t.statefulSet), nil
}

// volumeTarget reads NS/STS[@RP]. There is no cluster that could supply a namespace.
func volumeTarget(arg string) (target, error) {
	t, err := parseTarget(arg, "")
	if err == nil && t.namespace == "" {
		err = usageErrorf("%q names no namespace; write NAMESPACE/STATEFULSET", arg)
	}
	return t, err
}

// parseSnapshot reads --repository-snapshot; an empty text is the zero ID.
func parseSnapshot(text string) (repository.ID, error) {
	if text == "" {
		return repository.ID{}, nil
	}
	id, err := repository.ParseID(text)
	if err != nil {
		return id, usageErrorf("--%s: %w", contract.FlagSnapshot, err)
	}
	if id == (repository.ID{}) { // no snapshot has this id, and it would mean the newest
		return id, fmt.Errorf("--%s %s: %w", contract.FlagSnapshot, id, repository.ErrNoSnapshot)
	}
	return id, nil
}

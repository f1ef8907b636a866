package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
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

// volumeFlags are what all volume commands have.
type volumeFlags struct {
	repo         repoFlags
	passwordFile string // of the one repository
	claim        string
	// watch, unless it is nil, counts what is done with the bucket.
	watch func(storage.Bucket) storage.Bucket
}

func (f *volumeFlags) add(cmd *cobra.Command) {
	f.repo.add(cmd)
	cmd.Flags().StringVar(
		&f.passwordFile,
		"repository-password-file",
		"",
		"`file` with the password of this one repository, in place of the root password",
	)
	cmd.Flags().StringVar(&f.claim, "claim", "", "`name` of the volume's claim, such as www-web-0")
}

// check reports a claim that cannot be one.
func (f *volumeFlags) check() error {
	if f.claim == "" {
		return usageErrorf("no claim: give --claim, for example --claim www-web-0")
	}
	if f.claim == "." || f.claim == ".." || strings.ContainsAny(f.claim, "/,\x00") {
		return usageErrorf("%q cannot be the name of a claim", f.claim)
	}
	return nil
}

// open opens the repository of the StatefulSet; create makes it if there is none.
func (f *volumeFlags) open(ctx context.Context, a *app, t target, create bool) (*catalog.Catalog, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.openRepository(ctx, a, t, create)
}

// openRepository is open where no claim is needed.
func (f *volumeFlags) openRepository(ctx context.Context, a *app, t target, create bool) (*catalog.Catalog, error) {
	url, err := f.repo.location(a)
	if err != nil {
		return nil, err
	}
	password, err := f.password(a, t)
	if err != nil {
		return nil, err
	}
	at := f.repo.at(a, url)
	at.Create, at.Watch = create, f.watch
	root, err := location.OpenBucket(at)
	if err != nil {
		return nil, err
	}
	// Deriving a key from a password takes 32 MiB for a moment, which the data path shall not have to take on top.
	if create {
		defer debug.FreeOSMemory()
		return catalog.OpenOrCreate(ctx, root, t.namespace, t.statefulSet, password)
	}
	defer runtime.GC() // what is free now is taken again soon, and need not be given back before
	return catalog.Open(ctx, root, t.namespace, t.statefulSet, password)
}

func (f *volumeFlags) password(a *app, t target) (repository.Secret, error) {
	if f.passwordFile != "" {
		password, err := readPassword(f.passwordFile)
		return repository.Secret(password), err
	}
	root, err := f.repo.password(a)
	if err != nil {
		return "", err
	}
	return catalog.Password(repository.Secret(root), t.namespace, t.statefulSet), nil
}

// volumeTarget reads NS/STS[@RP]. There is no cluster to ask for a namespace.
func volumeTarget(arg string) (target, error) {
	t, err := parseTarget(arg, "")
	if err == nil && t.namespace == "" {
		err = usageErrorf("%q names no namespace; write NAMESPACE/STATEFULSET", arg)
	}
	return t, err
}

// operationFlag is what the lock on the repository says of its holder. A mover that dies leaves its lock; whoever knows by
// this that its pod is gone may then remove it at once.
type operationFlag string

func (f *operationFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(f), "operation", "", "what the lock on the repository says of its holder")
	_ = cmd.Flags().MarkHidden("operation") // people's locks say nothing; it fails for flags that do not exist
}

// snapshotFlag is --repository-snapshot: which one, where a recovery point's record cannot say it yet.
type snapshotFlag string

func (f *snapshotFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		(*string)(f),
		"repository-snapshot",
		"",
		"`id` (64 hex digits) of the repository snapshot to use, whatever recovery point it belongs to",
	)
}

// find returns the repository snapshot that the command line means.
func (f *snapshotFlag) find(
	ctx context.Context,
	points *catalog.Catalog,
	t target,
	claim string,
	now time.Time,
) (repository.Snapshot, error) {
	if *f == "" {
		return points.FindVolume(ctx, t.at(now).recoveryPoint, claim)
	}
	id, err := repository.ParseID(string(*f))
	if err != nil {
		return repository.Snapshot{}, usageErrorf("--repository-snapshot: %w", err)
	}
	return points.Repository().LoadSnapshot(ctx, id)
}

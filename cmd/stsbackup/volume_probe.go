package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// volumeProbe holds the flags of stsbackup volume probe.
type volumeProbe struct {
	volume volumeFlags
	report volumeReport
	args   contract.ProbeArgs // as far as flags of this command fill them
}

// newVolumeProbeCommand makes the command that a mover runs to find out whether movers can do their work. It is no tool for
// people: what it says is what can be done from where it runs.
func newVolumeProbeCommand(a *app) *cobra.Command { return (&volumeProbe{}).command(a) }

func (c *volumeProbe) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "probe NAMESPACE/STATEFULSET[@RECOVERY-POINT]",
		Short:  "Look whether a repository can be used from here",
		Hidden: true,
		Long: `probe opens a repository, lists its index and reads a part of it, and looks for the repository snapshots that are named.
With --write it also writes something, and removes it again; the repository is made if there is none.`,
		Args: exactArgs(1, "a StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.report.end(c.run(cmd.Context(), a, c.given(args[0])))
		},
	}
	c.args.Bind(cmd.Flags())
	c.volume.repo.add(cmd)
	addOutput(cmd, &c.report.output)
	return cmd
}

// given are the arguments of the command line.
func (c *volumeProbe) given(source string) contract.ProbeArgs {
	given := c.args
	given.Source, given.Repo = source, c.volume.repo.url
	return given
}

func (c *volumeProbe) run(ctx context.Context, a *app, args contract.ProbeArgs) error {
	c.volume.passwordFile, c.report.resultFile = args.PasswordFile, args.ResultFile
	t, err := volumeTarget(args.Source)
	if err != nil {
		return err
	}
	ids := make([]repository.ID, len(args.RepositorySnapshots))
	for i, text := range args.RepositorySnapshots {
		if ids[i], err = repository.ParseID(text); err != nil {
			return usageErrorf("--%s: %w", contract.FlagSnapshot, err)
		}
	}
	location, err := c.volume.repo.location(a)
	if err != nil {
		return err
	}
	defer c.report.begin(ctx, a, &c.volume)()
	if err := c.probe(ctx, a, args, t, ids); err != nil {
		return explainInPod(location, err)
	}
	encoded, err := mover.EncodeProbe()
	if err != nil || c.report.resultFile == "" {
		return err
	}
	return c.report.write(encoded)
}

func (c *volumeProbe) probe(ctx context.Context, a *app, args contract.ProbeArgs, t target, ids []repository.ID) error {
	points, err := c.volume.openRepository(ctx, a, t, args.Write)
	if err != nil {
		return err
	}
	repo := points.Repository()
	repo.SetOperation(args.Operation)
	if err := repo.Probe(ctx, ids); err != nil {
		return err
	}
	for _, id := range ids {
		snapshot, err := repo.LoadSnapshot(ctx, id)
		if err == nil {
			err = points.CheckOwner(snapshot, "")
		}
		if err != nil {
			return err
		}
	}
	if !args.Write {
		return nil
	}
	lock, err := repo.BeginLock(ctx)
	if errors.Is(err, repository.ErrLocked) {
		return nil // who has locked it will be waited for
	}
	if err != nil {
		return err
	}
	return lock.Release(ctx)
}

// explained is explainInPod for a command that may be run by a mover, and need not be.
func (r *volumeReport) explained(a *app, repo *repoFlags, err error) error {
	location, locationErr := repo.location(a)
	if err == nil || r.resultFile == "" || locationErr != nil || !errors.Is(err, storage.ErrUnreachable) {
		return err
	}
	return explainInPod(location, err)
}

// explainInPod adds to what was found from inside a pod what to do about it, where that is another thing than for a person at
// a terminal. location is the repository's URL as it was given to movers.
func explainInPod(location string, err error) error {
	var host string
	if config, parseErr := s3.ParseURL(location); parseErr == nil {
		if endpoint, parseErr := url.Parse(config.Endpoint); parseErr == nil {
			host = endpoint.Hostname()
		}
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case errors.Is(err, storage.ErrUnreachable) && loopback:
		return fmt.Errorf("%w; in a pod, %s is the pod itself: give the URL by which pods reach the bucket with --mover-repo", err, host)
	case errors.Is(err, storage.ErrUnreachable):
		return fmt.Errorf(
			"%w; so it is from inside a pod: if pods reach the bucket under another address, give the URL that they need with --mover-repo; "+
				"else see whether a NetworkPolicy or a firewall stands between",
			err,
		)
	case errors.Is(err, repository.ErrNoRepository),
		errors.Is(err, storage.ErrNoBucket),
		errors.Is(err, repository.ErrNoSnapshot),
		errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%w; so it is under the URL that movers use: if --mover-repo is given, it must lead to the same place as --repo", err)
	default:
		return err
	}
}

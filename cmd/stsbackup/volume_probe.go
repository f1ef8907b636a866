package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/s3"
)

// volumeProbe holds the flags of stsbackup volume probe.
type volumeProbe struct {
	volume    volumeFlags
	report    volumeReport
	operation operationFlag
	snapshots []string
	write     bool
}

// newVolumeProbeCommand makes the command that a mover runs to find out whether movers can do their work. It is no tool for
// people: what it says is what can be done from where it runs.
func newVolumeProbeCommand(a *app) *cobra.Command {
	c := &volumeProbe{}
	cmd := &cobra.Command{
		Use:    "probe NAMESPACE/STATEFULSET[@RECOVERY-POINT]",
		Short:  "Check whether a repository can be used from here",
		Hidden: true,
		Long: `probe opens a repository, lists its index, reads a part of it, and looks for the repository snapshots that you name. With --write
it also writes something and removes it again, and makes the repository if there is none.`,
		Args: exactArgs(1, "a StatefulSet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.report.end(c.run(cmd.Context(), a, args[0]))
		},
	}
	c.volume.add(cmd)
	c.report.add(cmd)
	c.operation.add(cmd)
	cmd.Flags().StringSliceVar(&c.snapshots, "repository-snapshot", nil, "`ids` of repository snapshots that must be there")
	cmd.Flags().BoolVar(&c.write, "write", false, "also check whether the repository can be written")
	return cmd
}

func (c *volumeProbe) run(ctx context.Context, a *app, name string) error {
	t, err := volumeTarget(name)
	if err != nil {
		return err
	}
	ids := make([]repository.ID, len(c.snapshots))
	for i, text := range c.snapshots {
		if ids[i], err = repository.ParseID(text); err != nil {
			return usageErrorf("--repository-snapshot: %w", err)
		}
	}
	location, err := c.volume.repo.location(a)
	if err != nil {
		return err
	}
	defer c.report.begin(ctx, a, &c.volume)()
	if err := c.probe(ctx, a, t, ids); err != nil {
		return explainInPod(location, err)
	}
	encoded, err := mover.EncodeProbe()
	if err != nil || c.report.resultFile == "" {
		return err
	}
	return c.report.write(encoded)
}

func (c *volumeProbe) probe(ctx context.Context, a *app, t target, ids []repository.ID) error {
	points, err := c.volume.openRepository(ctx, a, t, c.write)
	if err != nil {
		return err
	}
	repo := points.Repository()
	repo.SetOperation(string(c.operation))
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
	if !c.write {
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
		return fmt.Errorf("%w; in a pod, %s is the pod itself: with --mover-repo, give the URL by which pods reach the bucket", err, host)
	case errors.Is(err, storage.ErrUnreachable):
		return fmt.Errorf(
			"%w; this happened inside a pod: if pods reach the bucket at another address, give that URL with --mover-repo; if not, look "+
				"for a NetworkPolicy or a firewall in between",
			err,
		)
	case errors.Is(err, repository.ErrNoRepository),
		errors.Is(err, storage.ErrNoBucket),
		errors.Is(err, repository.ErrNoSnapshot),
		errors.Is(err, repository.ErrWrongPassword):
		return fmt.Errorf("%w; this happened with the URL that movers use: --mover-repo, if given, must lead to the same place as "+
			"--repo", err)
	default:
		return err
	}
}

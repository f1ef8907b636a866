package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
)

// volumeProbe holds the flags of stsbackup volume probe.
type volumeProbe struct {
	volume volumeFlags
	report volumeReport
	args   contract.ProbeArgs // as far as flags of this command set them
}

// newVolumeProbeCommand makes the command that a mover runs to find out whether movers can do their work. It is no tool
// for people: it only says what is possible from the place where it runs.
func newVolumeProbeCommand(a *app) *cobra.Command { return (&volumeProbe{}).command(a) }

func (c *volumeProbe) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "probe NAMESPACE/STATEFULSET[@RECOVERY-POINT]",
		Short:  "Check whether a repository can be used from here",
		Hidden: true,
		Long: `probe opens a repository, lists its index, reads a part of it, and looks for the repository snapshots that you name. With --write
it also writes something and removes it again, and makes the repository if there is none.`,
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

// given are the arguments from the command line.
func (c *volumeProbe) given(source string) contract.ProbeArgs {
	given := c.args
	given.Source, given.Repo = source, c.volume.repo.url
	return given
}

func (c *volumeProbe) run(ctx context.Context, a *app, args contract.ProbeArgs) error {
	c.report.file = mover.ResultFile(args.ResultFile)
	request, err := c.request(a, args)
	if err != nil {
		return err
	}
	defer c.report.begin(ctx, a)()
	request.Observer = c.report.observer(a)
	if err := volume.Probe(ctx, request); err != nil {
		return volume.ExplainInPod(request.Root.URL, err)
	}
	return c.report.probed()
}

// request is what the command line asks for.
func (c *volumeProbe) request(a *app, args contract.ProbeArgs) (volume.ProbeRequest, error) {
	request := volume.ProbeRequest{Write: args.Write}
	t, err := volumeTarget(args.Source)
	if err != nil {
		return request, err
	}
	for _, text := range args.RepositorySnapshots {
		id, err := parseSnapshot(text)
		if err != nil {
			return request, err
		}
		request.Snapshots = append(request.Snapshots, id)
	}
	request.Repository, err = c.volume.repository(a, t, args.PasswordFile)
	request.Operation = args.Operation
	return request, err
}

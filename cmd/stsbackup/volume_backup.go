package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
)

// volumeBackup holds the flags of stsbackup volume backup.
type volumeBackup struct {
	volume      volumeFlags
	report      volumeReport
	args        contract.BackupArgs // as far as flags of this command set them
	compression compressionFlag
	lock        lockFlag
}

func newVolumeBackupCommand(a *app) *cobra.Command { return (&volumeBackup{}).command(a) }

func (c *volumeBackup) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup DIR|DEVICE",
		Short: "Save a directory or a block device as the volume of a claim",
		Long: `backup saves a directory and everything in it as a repository snapshot, or a block device as one file in a repository snapshot.
It makes the repository if there is none.

It does not read files again that have not changed since the last backup of the claim (by size, times and inode). If a
file changes during the backup, backup saves what it reads, and names the file.

It names entries that it cannot read, saves everything else, and exits with code 3. It does the same if it finds the file
.stsbackup-restoring, which an unfinished restore with --into-empty leaves: the volume may lack files. A command that fails or is
interrupted leaves no repository snapshot.`,
		Example: `  stsbackup volume backup /var/lib/web --repo file:///mnt/backup --as demo/web --claim www-web-0`,
		Args:    exactArgs(1, "one directory or block device"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.run(cmd.Context(), a, c.given(args[0]))
			return c.report.end(c.report.explained(a, &c.volume.repo, err))
		},
	}
	c.args.Bind(cmd.Flags())
	c.volume.repo.add(cmd)
	addOutput(cmd, &c.report.output)
	c.compression.add(cmd)
	c.lock.add(cmd)
	return cmd
}

// given are the arguments from the command line.
func (c *volumeBackup) given(dir string) contract.BackupArgs {
	given := c.args
	given.Dir, given.Repo, given.Compression, given.RetryLock = dir, c.volume.repo.url, c.compression.String(), c.lock.limit
	return given
}

func (c *volumeBackup) run(ctx context.Context, a *app, args contract.BackupArgs) error {
	c.report.file = mover.ResultFile(args.ResultFile)
	request, err := c.request(a, args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.report.begin(ctx, a)()
	request.Observer = c.report.observer(a)
	request.Waiting = func(reason string) { c.report.waiting(a, reason) }
	memory.OfBackup().Keep(ctx, a.getenv)
	result, err := volume.Backup(ctx, request)
	if err != nil {
		return err
	}
	if err := c.report.result(a, result, c.print); err != nil {
		return err
	}
	if result.ProblemCount > 0 {
		first := result.Problems[0]
		return &incompleteError{err: fmt.Errorf("claim %s is saved as repository snapshot %.8s, but %d of its entries could not be read whole; "+
			"the first is %s: %s", args.Claim, result.RepositorySnapshot, result.ProblemCount, first.Path, first.Reason)}
	}
	return nil
}

// request is what the command line asks for.
func (c *volumeBackup) request(a *app, args contract.BackupArgs) (volume.BackupRequest, error) {
	request := volume.BackupRequest{
		Dir: args.Dir, Claim: args.Claim, Ordinal: args.Ordinal, RecoveryPoint: catalog.RecoveryPointID(args.RecoveryPoint),
		ForceRead: args.ForceRead, Compression: c.compression.level, RetryLock: args.RetryLock, Program: "stsbackup " + a.version,
	}
	if args.As == "" {
		return request, usageErrorf("no StatefulSet: give --as NAMESPACE/STATEFULSET, which says whose repository this is")
	}
	t, err := volumeTarget(args.As)
	if err != nil {
		return request, err
	}
	if t.recoveryPoint != "" {
		return request, usageErrorf("--as %s names a recovery point; use --recovery-point", args.As)
	}
	request.Repository, err = c.volume.repository(a, t, args.PasswordFile)
	request.Operation = args.Operation
	return request, err
}

func (c *volumeBackup) print(out io.Writer, r archive.Result) error {
	_, err := fmt.Fprintf(out, "repository snapshot %s\n%d files, %d directories, %d others: %s; stored %s in %s\n",
		r.RepositorySnapshot, r.Files, r.Directories, r.Others, ui.Bytes(r.Bytes), ui.Bytes(r.BytesStored), ui.Duration(r.Duration))
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// volumeBackup holds the flags of stsbackup volume backup.
type volumeBackup struct {
	volume      volumeFlags
	report      volumeReport
	args        contract.BackupArgs // as far as flags of this command fill them
	compression compressionFlag
	lock        lockFlag
}

func newVolumeBackupCommand(a *app) *cobra.Command { return (&volumeBackup{}).command(a) }

func (c *volumeBackup) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup DIR|DEVICE",
		Short: "Save a directory or a block device as the volume of a claim",
		Long: `backup saves a directory and everything in it as a repository snapshot, or a block device as one file in a
repository snapshot. The repository is made if there is none.

Files that have not changed since the last backup of the claim (by their size, times and inode) are not read again.
Files that are changed while they are read are saved as they are found, and named.

Entries that cannot be read are named in the result, everything else is saved, and the exit code is 3. So it is for
.stsbackup-restoring, which a restore with --into-empty leaves that has not ended: the volume may lack files. If the command
fails or is interrupted, there is no repository snapshot.`,
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

// given are the arguments of the command line.
func (c *volumeBackup) given(dir string) contract.BackupArgs {
	given := c.args
	given.Dir, given.Repo, given.Compression, given.RetryLock = dir, c.volume.repo.url, c.compression.String(), c.lock.limit
	return given
}

func (c *volumeBackup) run(ctx context.Context, a *app, args contract.BackupArgs) error {
	c.volume.passwordFile, c.volume.claim, c.report.resultFile = args.PasswordFile, args.Claim, args.ResultFile
	t, tags, err := identity(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.report.begin(ctx, a, &c.volume)()
	memory.OfBackup().Keep(ctx, a.getenv)
	points, err := c.volume.open(ctx, a, t, true)
	if err != nil {
		return err
	}
	points.Repository().SetOperation(args.Operation)
	points.Repository().SetCompression(c.compression.level)
	points.Repository().SetLockWait(repository.LockWait{Limit: c.lock.limit, Blocked: func(_ context.Context, locked error) bool {
		if c.lock.limit > 0 {
			c.report.waiting(a, waitingText(points, c.lock.limit, locked))
		}
		return false
	}})
	result, err := archive.Backup(ctx, points.Repository(), archive.Source{
		Dir: args.Dir, Name: args.Claim, Host: points.Host(), Tags: tags, Program: "stsbackup " + a.version,
		ForceRead: args.ForceRead,
	}, c.report.progress(a))
	if err != nil {
		return err
	}
	if err := c.report.result(a, result, c.print); err != nil {
		return err
	}
	if result.ProblemCount > 0 {
		return &incompleteError{err: fmt.Errorf("claim %s is saved as repository snapshot %.8s, but %d of its entries could not be read whole; "+
			"the first is %s: %s", c.volume.claim, result.RepositorySnapshot, result.ProblemCount, result.Problems[0].Path, result.Problems[0].Reason)}
	}
	return nil
}

// identity says whose volume this is, and the tags that go with it.
func identity(args contract.BackupArgs) (target, []string, error) {
	if args.As == "" {
		return target{}, nil, usageErrorf("no StatefulSet: give --as NAMESPACE/STATEFULSET, which says whose repository this is")
	}
	t, err := volumeTarget(args.As)
	if err != nil {
		return target{}, nil, err
	}
	if t.recoveryPoint != "" {
		return target{}, nil, usageErrorf("--as %s names a recovery point; use --recovery-point", args.As)
	}
	tags := []string{catalog.TagStsbackup, catalog.TagClaim + "=" + args.Claim}
	if args.RecoveryPoint != "" {
		if err := catalog.CheckID(args.RecoveryPoint); err != nil {
			return target{}, nil, usageErrorf("--recovery-point: %w", err)
		}
		tags = append(tags, catalog.TagRecoveryPoint+"="+args.RecoveryPoint)
	}
	if args.Ordinal >= 0 {
		tags = append(tags, catalog.TagOrdinal+"="+strconv.Itoa(args.Ordinal))
	}
	return t, tags, nil
}

func (c *volumeBackup) print(out io.Writer, r archive.Result) error {
	_, err := fmt.Fprintf(out, "repository snapshot %s\n%d files, %d directories, %d others: %s; stored %s in %s\n",
		r.RepositorySnapshot, r.Files, r.Directories, r.Others, ui.Bytes(r.Bytes), ui.Bytes(r.BytesStored), ui.Duration(r.Duration))
	return err
}

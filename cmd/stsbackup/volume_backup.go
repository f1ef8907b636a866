package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// volumeBackup holds the flags of stsbackup volume backup.
type volumeBackup struct {
	volume        volumeFlags
	report        volumeReport
	as            string
	recoveryPoint string
	// operation is what the lock on the repository says.
	operation   operationFlag
	ordinal     int
	forceRead   bool
	compression compressionFlag
	lock        lockFlag
}

func newVolumeBackupCommand(a *app) *cobra.Command {
	c := &volumeBackup{}
	cmd := &cobra.Command{
		Use:   "backup DIR|DEVICE",
		Short: "Save a directory or a block device as the volume of a claim",
		Long: `backup saves a directory and everything in it as a repository snapshot, or a block device as one file in a repository snapshot.
It makes the repository if there is none.

It does not read files again that have not changed since the last backup of the claim (by size, times and inode). It saves a
file that changes during the backup as it finds it, and names it.

It names entries that it cannot read, saves everything else, and exits with code 3. It does the same if it finds the file
.stsbackup-restoring, which an unfinished restore with --into-empty leaves: the volume may lack files. A command that fails or is
interrupted leaves no repository snapshot.`,
		Example: `  stsbackup volume backup /var/lib/web --repo file:///mnt/backup --as demo/web --claim www-web-0`,
		Args:    exactArgs(1, "one directory or block device"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.report.end(c.report.explained(a, &c.volume.repo, c.run(cmd.Context(), a, args[0])))
		},
	}
	c.volume.add(cmd)
	c.report.add(cmd)
	cmd.Flags().StringVar(&c.as, "as", "", "`NAMESPACE/STATEFULSET` that the volume belongs to")
	cmd.Flags().StringVar(
		&c.recoveryPoint,
		"recovery-point",
		"",
		"`id` of the recovery point that this volume belongs to; without it, the backup belongs to none",
	)
	c.operation.add(cmd)
	cmd.Flags().IntVar(&c.ordinal, "ordinal", -1, "`number` of the claim's ordinal")
	c.compression.add(cmd)
	c.lock.add(cmd)
	cmd.Flags().BoolVar(&c.forceRead, "force-read", false, "read all files, even those that seem unchanged since the last backup")
	return cmd
}

func (c *volumeBackup) run(ctx context.Context, a *app, dir string) error {
	t, tags, err := c.identity()
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
	points.Repository().SetOperation(string(c.operation))
	points.Repository().SetCompression(c.compression.level)
	points.Repository().SetLockWait(repository.LockWait{Limit: c.lock.limit, Blocked: func(_ context.Context, locked error) bool {
		if c.lock.limit > 0 {
			c.report.waiting(a, points.WaitingText(c.lock.limit, locked))
		}
		return false
	}})
	result, err := archive.Backup(ctx, points.Repository(), archive.Source{
		Dir: dir, Name: c.volume.claim, Host: points.Host(), Tags: tags, Program: "stsbackup " + a.version,
		ForceRead: c.forceRead,
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
func (c *volumeBackup) identity() (target, []string, error) {
	if c.as == "" {
		return target{}, nil, usageErrorf("no StatefulSet: give --as NAMESPACE/STATEFULSET, which says whose repository this is")
	}
	t, err := volumeTarget(c.as)
	if err != nil {
		return target{}, nil, err
	}
	if t.recoveryPoint != "" {
		return target{}, nil, usageErrorf("--as %s names a recovery point; use --recovery-point", c.as)
	}
	tags := []string{catalog.TagStsbackup, catalog.TagClaim + "=" + c.volume.claim}
	if c.recoveryPoint != "" {
		if err := catalog.CheckID(c.recoveryPoint); err != nil {
			return target{}, nil, usageErrorf("--recovery-point: %w", err)
		}
		tags = append(tags, catalog.TagRecoveryPoint+"="+c.recoveryPoint)
	}
	if c.ordinal >= 0 {
		tags = append(tags, catalog.TagOrdinal+"="+strconv.Itoa(c.ordinal))
	}
	return t, tags, nil
}

func (c *volumeBackup) print(out io.Writer, r archive.Result) error {
	_, err := fmt.Fprintf(out, "repository snapshot %s\n%d files, %d directories, %d others: %s; stored %s in %s\n",
		r.RepositorySnapshot, r.Files, r.Directories, r.Others, ui.Bytes(r.Bytes), ui.Bytes(r.BytesStored), ui.Duration(r.Duration))
	return err
}

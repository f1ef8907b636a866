package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/internal/mover/contract"
	"github.com/stsbackup/stsbackup/internal/volume"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// volumeRestore holds the flags of stsbackup volume restore.
type volumeRestore struct {
	volume volumeFlags
	report volumeReport
	args   contract.RestoreArgs // as far as flags of this command set them
	// replace and blank are for people: movers never get them.
	replace bool
	blank   bool
}

func newVolumeRestoreCommand(a *app) *cobra.Command { return (&volumeRestore{}).command(a) }

func (c *volumeRestore) command(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore NAMESPACE/STATEFULSET[@RECOVERY-POINT] DIR|DEVICE|FILE",
		Short: "Bring the volume of a claim back into a directory, or onto a block device",
		Long: `restore writes the contents of a claim's volume into a directory, and gives the directory the owner, mode and times of the
volume's root. It makes the directory if there is none. It compares every piece with its hash before it writes it.

Without a recovery point it takes the newest backup of the claim: of a complete recovery point, or one that "volume backup" has
made. It does not touch other files in the directory. If a restored file would replace something, it fails, unless you give --replace.

It writes the content of a block device into a new file, or onto a block device that is at least as large and not in use. For a
device, give --replace; or give --blank if the device holds nothing but zeros: restore then writes no zeros.

With --into-empty the directory must be empty, or hold only what an unfinished restore of the same claim from the same repository
has left; restore removes that. Until it ends, the file .stsbackup-restoring in the directory says which restore fills it. If
that file says anything else, restore removes nothing and fails.

It names files that it cannot write, and files whose pieces are missing or impossible in the repository. It restores everything
else, and fails with exit code 1; with -o json it still prints the result, which names them. It stops at once at other damage in
the repository, or when the target is full. It does not keep access times: files and directories get the time of their last
change instead.

Without root's rights it restores owners and groups as far as the system allows, drops set-user-id and set-group-id bits that it
cannot set, and cannot make device nodes.`,
		Example: `  stsbackup volume restore demo/web --repo file:///mnt/backup --claim www-web-0 /tmp/www
  stsbackup volume restore demo/web@20261121T081200Z-3fa91c07 --claim www-web-0 /tmp/www`,
		Args: exactArgs(2, "a StatefulSet and a directory, a block device or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.run(cmd.Context(), a, c.given(args[0], args[1]))
			return c.report.end(c.report.explained(a, &c.volume.repo, err))
		},
	}
	c.args.Bind(cmd.Flags())
	c.volume.repo.add(cmd)
	addOutput(cmd, &c.report.output)
	cmd.Flags().BoolVar(&c.replace, "replace", false, "replace what is in the way of the restored files")
	cmd.Flags().BoolVar(&c.blank, "blank", false, "you know that the block device holds nothing but zeros")
	return cmd
}

// given are the arguments from the command line.
func (c *volumeRestore) given(source, dir string) contract.RestoreArgs {
	given := c.args
	given.Source, given.Dir, given.Repo = source, dir, c.volume.repo.url
	return given
}

func (c *volumeRestore) run(ctx context.Context, a *app, args contract.RestoreArgs) error {
	c.report.file = mover.ResultFile(args.ResultFile)
	request, err := c.request(a, args)
	if err != nil {
		return err
	}
	if args.TakeBack && filepath.Clean(args.Dir) != contract.Volume {
		return usageErrorf("--%s empties nothing but a mover's volume, %s", contract.FlagTakeBack, contract.Volume)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.report.begin(ctx, a)()
	request.Observer = c.report.observer(a)
	memory.OfRestore().Keep(ctx, a.getenv)
	if args.TakeBack {
		return volume.TakeBack(ctx, request)
	}
	restored, err := volume.Restore(ctx, request)
	if errors.Is(err, archive.ErrInTheWay) {
		err = fmt.Errorf("%w (--replace)", err)
	}
	if err != nil {
		return errors.Join(err, c.report.failure(a, restored.Result))
	}
	return c.report.result(a, restored.Result, func(out io.Writer, r archive.Result) error {
		_, err := fmt.Fprintf(out, "repository snapshot %s of %s restored into %s\n%d files, %d directories, %d others: %s in %s\n",
			r.RepositorySnapshot, ui.Time(restored.Snapshot.Time), args.Dir,
			r.Files, r.Directories, r.Others, ui.Bytes(r.Bytes), ui.Duration(r.Duration))
		return err
	})
}

// request is what the command line asks for.
func (c *volumeRestore) request(a *app, args contract.RestoreArgs) (volume.RestoreRequest, error) {
	request := volume.RestoreRequest{
		Claim: args.Claim, Dir: args.Dir, Replace: c.replace, Blank: c.blank,
		IntoEmpty: args.IntoEmpty, IntoClaim: args.IntoClaim, Resumes: args.Resumes, Started: a.now(),
	}
	t, err := volumeTarget(args.Source)
	if err != nil {
		return request, err
	}
	request.RecoveryPoint = t.at(a.now()).recoveryPoint
	if request.Snapshot, err = parseSnapshot(args.RepositorySnapshot); err != nil {
		return request, err
	}
	if args.TakeBack && args.RepositorySnapshot == "" {
		return request, usageErrorf("--%s needs to know what was restored: give --%s", contract.FlagTakeBack, contract.FlagSnapshot)
	}
	request.Repository, err = c.volume.repository(a, t, args.PasswordFile)
	request.Operation = args.Operation
	return request, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stsbackup/stsbackup/cmd/stsbackup/internal/ui"
	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/memory"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// volumeRestore holds the flags of stsbackup volume restore.
type volumeRestore struct {
	volume   volumeFlags
	report   volumeReport
	snapshot snapshotFlag
	// operation is what the lock on the repository says.
	operation operationFlag
	replace   bool
	blank     bool
	// intoEmpty is what movers are told: never mix restored files with others. intoClaim is whose volume the directory is, and
	// resumes are the operations whose unfinished work is this one's to remove.
	intoEmpty bool
	intoClaim string
	resumes   []string
	// takeBack is for movers too: empty a directory that a restore with intoEmpty has filled, for nothing.
	takeBack bool
}

func newVolumeRestoreCommand(a *app) *cobra.Command {
	c := &volumeRestore{}
	cmd := &cobra.Command{
		Use:   "restore NAMESPACE/STATEFULSET[@RECOVERY-POINT] DIR|DEVICE|FILE",
		Short: "Bring the volume of a claim back into a directory, or onto a block device",
		Long: `restore writes the contents of a claim's volume into a directory, and gives the directory the owner, mode and times of the
volume's root. It makes the directory if there is none. It compares every piece with its hash before it writes it.

Without a recovery point it takes the newest backup of the claim: of a complete recovery point, or one that "volume backup" has
made. It leaves alone what is in the directory already; if something is in the way of a restored file, it fails, unless you give
--replace.

It writes the content of a block device onto a block device that is at least as large and not in use, with --replace; or with
--blank if the device holds nothing but zeros, which it then does not write; or into a new file.

With --into-empty it mixes nothing: the directory must be empty, or hold only what an unfinished restore of the same claim from
the same repository has left, which it removes. Until the restore ends, the file .stsbackup-restoring in the directory says whose
it is. If that file says anything else, restore removes nothing and fails.

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
			return c.report.end(c.report.explained(a, &c.volume.repo, c.run(cmd.Context(), a, args[0], args[1])))
		},
	}
	c.volume.add(cmd)
	c.report.add(cmd)
	c.snapshot.add(cmd)
	c.operation.add(cmd)
	cmd.Flags().BoolVar(&c.replace, "replace", false, "replace what is in the way of the restored files")
	cmd.Flags().BoolVar(
		&c.intoEmpty,
		"into-empty",
		false,
		"fail unless the directory is empty, or holds only what an unfinished restore with this flag has left",
	)
	cmd.Flags().BoolVar(
		&c.takeBack,
		"take-back",
		false,
		"remove everything from the directory, if it is what a restore with --into-empty has put there",
	)
	cmd.Flags().StringVar(&c.intoClaim, "into-claim", "", "`namespace/name` of the claim whose volume the directory is")
	cmd.Flags().StringSliceVar(&c.resumes, "resumes", nil, "`operations` whose unfinished work in the directory may be removed")
	for _, forMovers := range []string{"take-back", "into-claim", "resumes"} {
		_ = cmd.Flags().MarkHidden(forMovers) // no tools for people; it fails for flags that do not exist
	}
	cmd.Flags().BoolVar(&c.blank, "blank", false, "you know that the block device holds nothing but zeros")
	return cmd
}

func (c *volumeRestore) run(ctx context.Context, a *app, name, dir string) error {
	t, err := volumeTarget(name)
	if err != nil {
		return err
	}
	if c.takeBack && filepath.Clean(dir) != cluster.MoverVolume {
		return usageErrorf("--take-back empties nothing but a mover's volume, %s", cluster.MoverVolume)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.report.begin(ctx, a, &c.volume)()
	memory.OfRestore().Keep(ctx, a.getenv)
	if c.takeBack {
		return c.emptyAgain(ctx, a, t, dir)
	}
	points, err := c.volume.open(ctx, a, t, false)
	if err != nil {
		return err
	}
	points.Repository().SetOperation(string(c.operation))
	// This keeps prune away as far as that can be had: it could make the restore fail, though never be wrong.
	lock, err := points.Repository().LockReading(ctx)
	if err != nil {
		return err
	}
	snapshot, result, err := c.fill(ctx, a, t, points, dir)
	if left := lock.Release(ctx); left != nil { // which is no failure of the restore
		result.Warn(left)
	}
	if err != nil {
		return errors.Join(err, c.report.failure(a, result))
	}
	return c.report.result(a, result, func(out io.Writer, r archive.Result) error {
		_, err := fmt.Fprintf(out, "repository snapshot %s of %s restored into %s\n%d files, %d directories, %d others: %s in %s\n",
			r.RepositorySnapshot, ui.Time(snapshot.Time), dir,
			r.Files, r.Directories, r.Others, ui.Bytes(r.Bytes), ui.Duration(r.Duration))
		return err
	})
}

// fill is the restore itself.
func (c *volumeRestore) fill(
	ctx context.Context,
	a *app,
	t target,
	points *catalog.Catalog,
	dir string,
) (repository.Snapshot, archive.Result, error) {
	snapshot, err := c.snapshot.find(ctx, points, t, c.volume.claim, a.now())
	if err == nil && c.operation != "" { // a person may have anything restored
		err = points.CheckOwner(snapshot, c.volume.claim)
	}
	if err != nil {
		return snapshot, archive.Result{}, err
	}
	done := func() error { return nil }
	if c.intoEmpty {
		if done, err = archive.TakeEmpty(ctx, c.taking(a, t, dir, points.Repository(), snapshot.ID)); err != nil {
			return snapshot, archive.Result{}, err
		}
	}
	result, err := archive.Restore(ctx, points.Repository(), archive.Target{
		Snapshot: snapshot, Name: c.volume.claim, Dir: dir, Replace: c.replace, Blank: c.blank,
	}, c.report.progress(a))
	if errors.Is(err, archive.ErrInTheWay) {
		err = fmt.Errorf("%w (--replace)", err)
	}
	if err == nil {
		err = done()
	}
	return snapshot, result, err
}

// taking says who wants to have a directory for itself.
func (c *volumeRestore) taking(a *app, t target, dir string, repo *repository.Repository, snapshot repository.ID) archive.Taking {
	return archive.Taking{
		Dir: dir, Name: c.volume.claim, Resumes: c.resumes, Step: c.report.pulse.Step,
		Mark: archive.Mark{
			Operation: string(c.operation), Claim: c.intoClaim, Source: t.namespace + "/" + t.statefulSet + "/" + c.volume.claim,
			Repository: repo.ID(), RepositorySnapshot: snapshot.String(), Started: a.now(),
		},
		Open: func(context.Context) (*repository.Repository, error) { return repo, nil },
	}
}

// emptyAgain removes what a restore has put into a directory. The repository is opened only if that is needed to know it: a
// restore that failed because the bucket is away can be taken back all the same.
func (c *volumeRestore) emptyAgain(ctx context.Context, a *app, t target, dir string) error {
	if err := c.volume.check(); err != nil {
		return err
	}
	filled, err := repository.ParseID(string(c.snapshot))
	if err != nil {
		return usageErrorf("--take-back needs to know what was restored: --repository-snapshot: %w", err)
	}
	return archive.TakeBack(ctx, archive.Taking{
		Dir: dir, Name: c.volume.claim, Resumes: c.resumes, Step: c.report.pulse.Step,
		Mark: archive.Mark{Operation: string(c.operation), Claim: c.intoClaim},
		Open: func(ctx context.Context) (*repository.Repository, error) {
			points, err := c.volume.open(ctx, a, t, false)
			if err != nil {
				return nil, err
			}
			return points.Repository(), nil
		},
	}, filled)
}

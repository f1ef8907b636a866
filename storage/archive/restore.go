package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// ErrInTheWay says that the target already has something where an entry must go.
var ErrInTheWay = errors.New("exists already")

// ErrIncomplete says that some entries could not be restored; the Result names them.
var ErrIncomplete = errors.New("not everything could be restored")

// Target says what to restore, and where.
type Target struct {
	// Snapshot is the repository snapshot.
	Snapshot repository.Snapshot
	// Name is the top-level directory to restore: the claim's name.
	Name string
	// Dir is the path of the directory that gets the contents, the owner, the mode and the times of Name. Restore makes
	// it if it does not exist. If Name is a block device's content, Dir is a block device at least as large, or a file
	// to create.
	Dir string
	// Blank says that a block device is known to hold nothing but zeros, so that zeros need not be written.
	Blank bool
	// Replace allows Restore to remove what is in the way. With and without it, Restore uses existing directories, and
	// keeps their other entries.
	Replace bool
}

// Restore brings back a directory tree, or the content of a block device. It compares every blob with its hash before
// it writes the blob. If it cannot write an entry, or if repository.Judge refuses one, it goes on with the others and
// fails with ErrIncomplete. Other damage in the repository, or a full volume, ends it at once. When it returns nil,
// everything has reached the disk. Progress may be nil.
func Restore(ctx context.Context, repo *repository.Repository, target Target, progress Reporter) (Result, error) {
	started := repo.Now()
	result, err := restore(ctx, repo, target, progress)
	result.Duration = repo.Now().Sub(started)
	result.RepositorySnapshot = target.Snapshot.ID.String()
	if err == nil && result.ProblemCount > 0 {
		first := result.Problems[0]
		err = fmt.Errorf("%d entries, the first is %s (%s): %w", result.ProblemCount, first.Path, first.Reason, ErrIncomplete)
	}
	if err != nil {
		return result, fmt.Errorf("restore into %s: %w", target.Dir, err)
	}
	return result, nil
}

func restore(ctx context.Context, repo *repository.Repository, target Target, progress Reporter) (Result, error) {
	// 1. The repository snapshot is known already: an index that is read after it knows all that it needs.
	if err := repo.LoadIndex(ctx); err != nil {
		return Result{}, err
	}
	node, err := topEntry(ctx, repo, target.Snapshot, target.Name)
	if err != nil {
		return Result{}, err
	}
	run := &restoring{
		repo: repo, replace: target.Replace, progress: progress, open: descriptors{limits: findLimits()},
	}
	run.expect(target.Snapshot)
	switch node.Type {
	case treeblob.Dir:
		err = run.restoreDirectory(ctx, node, target)
	case treeblob.File:
		err = run.restoreDevice(ctx, node, target)
	default:
		err = fmt.Errorf("%q in repository snapshot %s is a %s, not a volume", target.Name, target.Snapshot.ID, node.Type)
	}
	return run.result(), err
}

func (r *restoring) restoreDirectory(ctx context.Context, node treeblob.Node, target Target) error {
	if node.Subtree == nil {
		return fmt.Errorf("%q in repository snapshot %s, tree %s, has no tree", node.Name, target.Snapshot.ID, target.Snapshot.Tree)
	}
	// 2. Open the target.
	if err := os.MkdirAll(target.Dir, 0o700); err != nil {
		return fmt.Errorf("make the target directory: %w", err)
	}
	fd, err := openDir(target.Dir)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	r.root = fd
	// 3. Plan and fill, at the same time.
	err = r.run(ctx, func(p *planner) error { return p.volume(node) })
	r.open.closeAll()
	if err != nil {
		return err
	}
	// 4. Data that has reached only the page cache is not restored.
	if err := retry(func() error { return unix.Syncfs(fd) }); err != nil {
		return fmt.Errorf("sync: %w", r.explain(err))
	}
	return nil
}

// topEntry finds what a repository snapshot holds at its top level.
func topEntry(ctx context.Context, repo *repository.Repository, snapshot repository.Snapshot, name string) (treeblob.Node, error) {
	if snapshot.Tree == nil {
		return treeblob.Node{}, fmt.Errorf("repository snapshot %s names no tree", snapshot.ID)
	}
	node, err := findEntry(ctx, repo, *snapshot.Tree, name)
	if errors.Is(err, ErrNoEntry) {
		err = fmt.Errorf("repository snapshot %s has no top-level entry %q", snapshot.ID, name)
	}
	return node, err
}

// restoring is one run of Restore.
type restoring struct {
	repo     *repository.Repository
	replace  bool
	root     int // descriptor of the target
	progress Reporter
	open     descriptors

	files, dirs, others   atomic.Int64 // made
	bytes, fetched        atomic.Int64
	doneFiles, doneBytes  atomic.Int64
	totalFiles, totalSize int64
	problems              problems
	warnings              []error // the planner's
}

// run lets a planner plan, and fetchers fetch what the planner asks for.
func (r *restoring) run(ctx context.Context, plan func(*planner) error) error {
	group, ctx := errgroup.WithContext(ctx)
	runs := make(chan run)
	group.Go(func() error {
		defer close(runs)
		p := &planner{restoring: r, ctx: ctx, runs: runs, names: map[identity]*firstName{}, trees: openTrees{repo: r.repo, limit: treesBytes}}
		return plan(p)
	})
	for range fetchers {
		group.Go(func() error {
			f := &fetcher{restoring: r, opener: r.repo.NewOpener()}
			for next := range runs {
				if err := f.run(ctx, next); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (r *restoring) expect(snapshot repository.Snapshot) {
	if s := snapshot.Summary; s != nil {
		r.totalFiles, r.totalSize = s.TotalFilesProcessed, s.TotalBytesProcessed
	}
}

func (r *restoring) result() Result {
	result := Result{
		Files: r.files.Load(), Directories: r.dirs.Load(), Others: r.others.Load(),
		Bytes: r.bytes.Load(), BytesRead: r.fetched.Load(),
	}
	r.problems.into(&result)
	for _, warning := range r.warnings {
		result.Warn(warning)
	}
	return result
}

func (r *restoring) report() {
	if r.progress != nil {
		r.progress.Report(Progress{
			Files: r.doneFiles.Load(), Bytes: r.doneBytes.Load(), TotalFiles: r.totalFiles, TotalBytes: r.totalSize,
		})
	}
}

// fault decides what a failure to write an entry means: nil, noted as a problem, if other entries may succeed; or an
// error that ends the restore.
func (r *restoring) fault(where string, err error) error {
	for _, fatal := range []error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO, unix.EMFILE, unix.ENFILE, ErrInTheWay} {
		if errors.Is(err, fatal) {
			return fmt.Errorf("write %s: %w", where, r.explain(err))
		}
	}
	r.problems.add(where, err)
	return nil
}

// explain says what to do about an error, where that is not obvious.
func (r *restoring) explain(err error) error {
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return fmt.Errorf("%w: allow more open files (ulimit -n): each level of nested directories needs one", err)
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	err = fmt.Errorf("%w: the target is full; make it larger, or restore into another one", err)
	if r.totalFiles > 0 {
		err = fmt.Errorf("%w (the volume has %d bytes in %d files)", err, r.totalSize, r.totalFiles)
	}
	return err
}

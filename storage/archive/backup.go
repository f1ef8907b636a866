package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// workers is how many goroutines hash, compress and seal: one for each pack that is being filled.
const workers = 2

// Source says what to back up, and as what.
type Source struct {
	// Dir is the path of a directory, or of a block device, which is saved as one file.
	Dir string
	// Name becomes the name of the repository snapshot's single top-level entry: the claim's name.
	Name string
	// Host and Tags go into the repository snapshot. A tag holds no comma.
	Host string
	Tags []string
	// Program is the name and version of the program, for the repository snapshot.
	Program string
	// ForceRead reads all files, even those that seem unchanged since the last backup of the volume.
	ForceRead bool
}

// paths are the paths that the repository snapshot says it holds.
func (s Source) paths() []string { return []string{"/" + s.Name} }

func (s Source) check() error {
	if err := (treeblob.Node{Name: s.Name}).CheckName(); err != nil {
		return fmt.Errorf("name of the volume: %w", err)
	}
	for _, tag := range s.Tags {
		if tag == "" || strings.ContainsAny(tag, ",\x00") {
			return fmt.Errorf("%q cannot be the tag of a repository snapshot", tag)
		}
	}
	return nil
}

// Backup saves a directory tree, or the content of a block device, as a repository snapshot. Entries that it cannot
// read are Problems of the Result; it saves everything else all the same. Files that others change meanwhile are
// Changes of the Result. An error means that there is no repository snapshot. A lock that could not be removed
// afterwards, or a last backup that cannot be read, is a Warning. Progress may be nil.
//
// If a file has not changed since the newest repository snapshot with the same Host and Name, Backup takes it from
// there.
//
// Backup leaves out top-level directories that belong to the file system and not to the data: lost+found, in any case,
// .snapshot, .zfs and .trashcan.
func Backup(ctx context.Context, repo *repository.Repository, source Source, progress Reporter) (result Result, err error) {
	if err := source.check(); err != nil {
		return Result{}, fmt.Errorf("back up %s: %w", source.Dir, err)
	}
	if err := repo.Writable(); err != nil {
		return Result{}, fmt.Errorf("back up %s: %w", source.Dir, err)
	}
	started := repo.Now().UTC()
	// 1. Nobody may remove data while we rely on what the index knows.
	lock, err := repo.BeginLock(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("back up %s: %w", source.Dir, err)
	}
	defer func() {
		left := lock.Release(ctx)
		if left != nil && err == nil { // the data is saved, so this is no failure
			result.Warn(left)
		} else {
			err = errors.Join(err, left)
		}
	}()
	result, err = backup(lock, repo, source, started, progress)
	if err != nil {
		return Result{}, fmt.Errorf("back up %s: %w", source.Dir, err)
	}
	result.Duration = repo.Now().Sub(started)
	return result, nil
}

func backup(lock *repository.Lock, repo *repository.Repository, source Source, started time.Time, progress Reporter) (Result, error) {
	ctx := lock.Context()
	// 2. Learn what is stored already: the repository snapshots first, because an index read later knows all they need.
	var snapshots []repository.Snapshot
	if !source.ForceRead {
		snapshots, _ = repo.Snapshots(ctx) // the readable ones are enough
	}
	if err := repo.LoadIndexToWrite(ctx); err != nil {
		return Result{}, err
	}
	last := findPrevious(ctx, repo, source, snapshots)
	writer, err := repo.NewWriter(ctx)
	if err != nil {
		return Result{}, err
	}
	// 3. Save everything, and then the tree that holds the one top-level directory.
	w, root, err := save(ctx, repo, writer, source, last, progress)
	if err != nil {
		// The running uploads end before we return: nothing may be written once the lock is gone.
		writer.Abort()
		return Result{}, err
	}
	// 4. Packs and index are complete before anything refers to them.
	if err := writer.Flush(); err != nil {
		return Result{}, err
	}
	// 5. Confirm that everything the backup relies on is still there. The snapshot written next makes the backup exist.
	if err := lock.Confirm(); err != nil {
		return Result{}, err
	}
	stats := writer.Stats()
	snapshot := repository.Snapshot{
		Time: started, Tree: &root, Paths: source.paths(), Hostname: source.Host, Username: "stsbackup",
		Tags: slices.Clone(source.Tags), ProgramVersion: source.Program, Summary: w.summary(started, repo.Now(), stats),
	}
	if last != nil {
		snapshot.Parent = &last.id
	}
	id, size, err := repo.SaveSnapshot(ctx, snapshot)
	if err != nil {
		return Result{}, err
	}
	result := w.result
	w.problems.into(&result)
	result.Changes, result.ChangeCount = w.changes.first, w.changes.count
	result.RepositorySnapshot = id.String()
	result.BytesStored = stats.Stored + size
	if lost := last.warn(); lost != nil {
		result.Warn(lost)
	}
	return result, nil
}

func (w *walker) summary(start, end time.Time, stats repository.WriterStats) *repository.Summary {
	return &repository.Summary{
		BackupStart: start, BackupEnd: end,
		FilesNew: w.result.Files - w.filesChanged - w.filesUnmodified, FilesChanged: w.filesChanged, FilesUnmodified: w.filesUnmodified,
		DirsNew: w.saver.added.Load(), DirsChanged: w.saver.changed.Load(), DirsUnmodified: w.saver.unmodified.Load(),
		DataBlobs: stats.DataBlobs, TreeBlobs: stats.TreeBlobs, DataAdded: stats.Added, DataAddedPacked: stats.Packed,
		TotalFilesProcessed: w.result.Files, TotalBytesProcessed: w.result.Bytes,
	}
}

// save runs the walker and the workers, and returns the id of the root tree.
func save(
	ctx context.Context,
	repo *repository.Repository,
	writer *repository.Writer,
	source Source,
	last *previous,
	progress Reporter,
) (*walker, repository.ID, error) {
	w := newWalker(writer)
	w.progress, w.previous = progress, last
	root, err := w.run(ctx, repo.ChunkerKey(), source)
	return w, root, err
}

// run saves everything, and returns the id of the root tree.
func (w *walker) run(ctx context.Context, key []byte, source Source) (repository.ID, error) {
	slabs, err := newSlabs(key)
	if err != nil {
		return repository.ID{}, err
	}
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan []job, 4*workers)
	w.ctx, w.slabs, w.jobs = ctx, slabs, jobs
	top := newPendingDir(nil, &treeblob.Node{})
	top.to = w.saver
	group.Go(func() error {
		defer close(jobs)
		if err := w.volume(source.Dir, source.Name, top); err != nil {
			return err
		}
		return top.done(ctx, w.saver)
	})
	for range workers {
		group.Go(func() error {
			for batch := range jobs {
				for _, j := range batch {
					if err := j.run(ctx, w.saver, &w.zeros); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return repository.ID{}, err
	}
	return *top.node.Subtree, nil
}

// job is one piece of a file on its way from the walker to a worker.
type job struct {
	file  *pendingFile
	index int
	piece []byte
	slab  *slab
}

func (j job) run(ctx context.Context, saver *trees, zeros *zeros) error {
	id, err := j.save(ctx, saver, zeros)
	j.slab.release()
	if err != nil {
		return fmt.Errorf("save a piece of %q: %w", shortenFront(j.file.dir.join(j.file.node.Name)), err)
	}
	j.file.content.set(j.index, id)
	return j.file.done(ctx, saver)
}

// save stores the piece. It stores zeros once for each length, and then only recognises them.
func (j job) save(ctx context.Context, saver blobSaver, zeros *zeros) (repository.ID, error) {
	blank := allZero(j.piece)
	if blank {
		if id, ok := zeros.get(len(j.piece)); ok {
			return id, nil
		}
	}
	id, err := saver.SaveBlob(ctx, repository.DataBlob, j.piece)
	if err == nil && blank {
		zeros.put(len(j.piece), id)
	}
	return id, err
}

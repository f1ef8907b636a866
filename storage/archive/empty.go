package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// ErrNotOurs says that a directory holds something that the restore cannot prove to be its own. Nothing was removed.
var ErrNotOurs = errors.New("nothing was removed")

// errMounted says that something else is mounted inside the directory.
var errMounted = errors.New("something else is mounted there, and nothing is removed across a mount")

// Taking is a restore that wants to have a directory for itself.
type Taking struct {
	Dir string
	// Mark is what the restore writes there, or would write. If it names no repository, TakeBack does not compare that
	// field: an operation reads one repository.
	Mark Mark
	// Name is the top-level entry of the repository snapshots that the restore uses: the claim's name.
	Name string
	// Resumes are the operations that this restore goes on with, as their marks name them.
	Resumes []string
	// Step, unless nil, is called for each entry that is looked at or removed, so that a watcher sees that work is
	// going on.
	Step func()
	// Open opens the repository. It is called only if the directory's contents must be compared with the repository.
	Open func(context.Context) (*repository.Repository, error)
}

// TakeEmpty makes sure that the directory is empty, apart from what an unfinished restore left there, which it removes.
// A volume that is or was in use may hold the only copy of somebody's data, and a mix of that data and restored files
// would be neither of the two: then TakeEmpty returns ErrNotOurs. Until done is called, the directory is marked as
// being filled. TakeEmpty removes marked contents if the mark belongs to the same restore, or to one that this restore
// goes on with, and if nobody has written there since.
//
// TakeEmpty makes the directory if it does not exist.
func TakeEmpty(ctx context.Context, t Taking) (done func() error, err error) {
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the target directory: %w", err)
	}
	fd, names, found, err := t.look()
	if err != nil {
		return nil, err
	}
	defer closeFD(fd)
	if found == nil && len(names) > 0 {
		return nil, t.refuse(names, "the volume is not empty")
	}
	if err := t.mayTake(ctx, fd, names, found); err != nil {
		return nil, err
	}
	if err := t.removeAll(fd, names); err != nil {
		return nil, err
	}
	if found != nil {
		if err := retry(func() error { return unix.Unlinkat(fd, RestoringMark, 0) }); err != nil {
			return nil, fmt.Errorf("remove the mark of the restore before: %w", err)
		}
	}
	if err := writeMark(fd, t.Mark); err != nil {
		return nil, fmt.Errorf("mark the volume as being filled: %w", err)
	}
	return func() error { return unmark(t.Dir) }, nil
}

func (t *Taking) step() {
	if t.Step != nil {
		t.Step()
	}
}

// look opens the directory and returns its contents.
func (t *Taking) look() (fd int, names []string, found *foundMark, err error) {
	fd, err = openDir(t.Dir)
	if err != nil {
		return -1, nil, nil, fmt.Errorf("look into the volume: %w", err)
	}
	names, err = contents(fd)
	if err == nil {
		found, err = readMark(fd)
	}
	if err != nil {
		closeFD(fd)
		return -1, nil, nil, err
	}
	return fd, names, found, nil
}

// unmark ends what TakeEmpty began.
func unmark(dir string) error {
	fd, err := openDir(dir)
	if err == nil {
		defer closeFD(fd)
		err = removeMark(fd)
	}
	if err != nil {
		return fmt.Errorf("unmark the volume: %w", err)
	}
	return nil
}

// mayTake decides whether what lies beside a mark, and the mark itself, may be removed.
func (t *Taking) mayTake(ctx context.Context, fd int, names []string, found *foundMark) error {
	if found == nil || found.empty && len(names) == 0 {
		return nil // whoever was stopped while writing the mark has written nothing else
	}
	if err := found.allows(t.Mark, t.Resumes); err != nil {
		return t.refuse(names, fmt.Sprintf("the volume's mark %s gives no right to remove what lies beside it: %s", RestoringMark, err))
	}
	mark := found.mark
	if len(names) == 0 || t.Mark.Operation != "" && mark.Operation == t.Mark.Operation {
		return nil // nobody else has the volume while an operation lasts
	}
	// Since the other operation ended, pods may have run on the data that it had restored here.
	id, err := repository.ParseID(mark.RepositorySnapshot)
	if err != nil {
		return err
	}
	return t.isRestored(ctx, fd, names, id, true)
}

// refuse returns the refusal to touch the directory, with both ways out.
func (t *Taking) refuse(names []string, why string) error {
	holds := "nothing else"
	if len(names) > 0 {
		holds = fmt.Sprintf("%q", names[0])
		if more := len(names) - 1; more > 0 {
			holds = fmt.Sprintf("%s and %d more", holds, more)
		}
	}
	return fmt.Errorf(
		"%s; it holds %s: %w; if you need nothing on it, empty it where it is mounted (here as %s) with: %s; otherwise keep it, and let "+
			"another one be used",
		why,
		holds,
		ErrNotOurs,
		t.Dir,
		emptyCommand(t.Dir),
	)
}

// emptyCommand is a command that empties a directory as TakeEmpty would: it leaves what belongs to the file system, and
// other file systems mounted within. For one mounted directly in the directory, rm's --one-file-system alone would
// remove the content, because rm compares with its argument.
func emptyCommand(dir string) string {
	keep := "! -iname " + lostAndFound
	for _, name := range fileSystemDirs() {
		keep += " ! -name " + name
	}
	quoted := "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	return fmt.Sprintf("find %s -mindepth 1 -maxdepth 1 %s -exec rm -rf --one-file-system --preserve-root=all {} +", quoted, keep)
}

// TakeBack empties the directory after a restore that turned out to be of no use. First it proves that the directory
// holds nothing else: by the mark of a restore that did not end, as TakeEmpty does, or else by comparing each entry
// with the repository snapshot. It returns ErrNotOurs if there is anything else.
func TakeBack(ctx context.Context, t Taking, filled repository.ID) error {
	fd, names, found, err := t.look()
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if found == nil && len(names) > 0 {
		err = t.isRestored(ctx, fd, names, filled, false)
	} else {
		err = t.mayTake(ctx, fd, names, found)
	}
	if err != nil {
		return err
	}
	if err := t.removeAll(fd, names); err != nil {
		return err
	}
	if found != nil { // the mark goes last
		err = retry(func() error { return unix.Unlinkat(fd, RestoringMark, 0) })
	}
	if err = errors.Join(err, retry(func() error { return unix.Fsync(fd) })); err != nil {
		return fmt.Errorf("empty the volume: %w", err)
	}
	return nil
}

// isRestored makes sure that the directory holds the content of a repository snapshot, or a part of it, and nothing
// else.
func (t *Taking) isRestored(ctx context.Context, fd int, names []string, id repository.ID, partial bool) error {
	repo, err := t.Open(ctx)
	if err != nil {
		return err
	}
	snapshot, err := repo.LoadSnapshot(ctx, id)
	var foreign string
	if err == nil {
		c := &comparer{ctx: ctx, repo: repo, partial: partial, step: t.step}
		foreign, err = c.foreign(snapshot, t.Name, fd)
	}
	switch {
	case errors.Is(err, repository.ErrNoSnapshot), errors.Is(err, ErrNoEntry):
		return t.refuse(names, fmt.Sprintf("there is nothing left to compare the volume's content with: %s", err))
	case err != nil:
		return fmt.Errorf("compare %s with repository snapshot %s: %w", t.Dir, id.Short(), err)
	case foreign != "":
		return t.refuse(
			names,
			fmt.Sprintf("%q is not what a restore of repository snapshot %s has put there, or was changed since", foreign, id.Short()),
		)
	}
	return nil
}

// contents names the entries of a volume that are the user's content.
func contents(dir int) ([]string, error) {
	all, err := readNames(dir)
	if err != nil {
		return nil, fmt.Errorf("look into the volume: %w", err)
	}
	var names []string
	for _, name := range all {
		if !theirs(dir, name) && name != RestoringMark {
			names = append(names, name)
		}
	}
	return names, nil
}

// removeAll removes entries of a directory that is a volume's root. It removes nothing if anything is mounted below: a
// mount may be anybody's data.
func (t *Taking) removeAll(dir int, names []string) error {
	for _, name := range names {
		if mount, err := t.findMount(dir, name, 0); err != nil {
			return fmt.Errorf("look through what a restore has left: %s: %w", mount, err)
		}
	}
	for _, name := range names {
		if err := removeAt(dir, name, t.step); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove what a restore has left: %s: %w", name, err)
		}
	}
	return nil
}

// findMount looks for a mount at an entry of a directory, or below that entry. On an error, the path says where it
// happened.
func (t *Taking) findMount(dir int, name string, depth int) (where string, err error) {
	t.step()
	fd, err := openBelow(dir, name)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if err != nil {
		return name, err
	}
	defer closeFD(fd)
	if depth > repository.MaxDepth {
		return name, repository.ErrTooDeep
	}
	entries, err := readEntries(fd)
	if err != nil {
		return name, err
	}
	for _, e := range entries {
		if e.file {
			continue
		}
		if where, err := t.findMount(fd, e.name, depth+1); err != nil {
			return name + "/" + where, err
		}
	}
	return "", nil
}

// openBelow opens a directory in another one on the same mount. A second mount of the same file system counts as
// another mount; where the system cannot tell mounts apart, only another file system counts.
func openBelow(dir int, name string) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	}
	err = retry(func() error {
		fd, err = unix.Openat2(dir, name, &how)
		return err
	})
	switch {
	case errors.Is(err, unix.EXDEV):
		return -1, errMounted
	case !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM):
		return fd, err
	}
	// Linux before 5.6, or a sandbox that forbids the call.
	return openSameDevice(dir, name)
}

// openSameDevice is openBelow, but compares device numbers.
func openSameDevice(dir int, name string) (int, error) {
	fd, err := openDirAt(dir, name)
	if err != nil {
		return -1, err
	}
	outer, err := fstat(dir)
	inner, innerErr := fstat(fd)
	if err = errors.Join(err, innerErr); err == nil && outer.Dev != inner.Dev {
		err = errMounted
	}
	if err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

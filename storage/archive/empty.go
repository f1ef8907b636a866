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

// ErrNotOurs says that a directory holds what the restore cannot prove to be its own. Nothing was removed.
var ErrNotOurs = errors.New("nothing was removed")

// errMounted says that something else is mounted there.
var errMounted = errors.New("something else is mounted there, and nothing is removed across a mount")

// Taking is a restore that wants to have a directory for itself.
type Taking struct {
	Dir string
	// Mark is what it writes there, or would. Without a repository in it, TakeBack is not asked for that one: an operation
	// reads one repository.
	Mark Mark
	// Name is the top-level entry of repository snapshots that it restores: the claim's name.
	Name string
	// Resumes are the operations that it goes on with, as their marks name them.
	Resumes []string
	// Step, unless nil, is called for each entry that is looked at or removed, so that whoever watches can tell that there is
	// something going on.
	Step func()
	// Open opens the repository. It is called only if what lies there is to be compared with it.
	Open func(context.Context) (*repository.Repository, error)
}

// TakeEmpty makes sure that the directory holds nothing, apart from what an unfinished restore has left there, which it
// removes. A volume that was used before, or is in use, may hold the only copy of somebody's data, and restored files among
// it would be neither: ErrNotOurs. Until done is called, the directory is marked as being filled. What was marked before is
// removed if the mark is of the same restore or of one that this goes on with, and if nobody has written there since.
//
// A directory that does not exist is made.
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

// look opens the directory, and says what it holds.
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

// unmark ends what TakeEmpty has begun.
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

// mayTake decides whether what lies beside a mark may be removed, and the mark too.
func (t *Taking) mayTake(ctx context.Context, fd int, names []string, found *foundMark) error {
	if found == nil || found.empty && len(names) == 0 {
		return nil // whoever was stopped while he wrote the mark has written nothing else
	}
	if err := found.allows(t.Mark, t.Resumes); err != nil {
		return t.refuse(names, fmt.Sprintf("the volume's mark %s gives no right to remove what lies beside it: %s", RestoringMark, err))
	}
	mark := found.mark
	if len(names) == 0 || t.Mark.Operation != "" && mark.Operation == t.Mark.Operation {
		return nil // nobody else has the volume while an operation lasts
	}
	// Since the other one has ended, pods may have run on what it had brought here.
	id, err := repository.ParseID(mark.RepositorySnapshot)
	if err != nil {
		return err
	}
	return t.isRestored(ctx, fd, names, id, true)
}

// refuse is the refusal to touch the directory, with both ways out.
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

// emptyCommand empties a directory as TakeEmpty would: what belongs to the file system stays, and other file systems that are mounted
// within. Of one that is mounted right in it, --one-file-system alone would have rm remove the content: that compares with the argument.
func emptyCommand(dir string) string {
	keep := "! -iname " + lostAndFound
	for _, name := range fileSystemDirs() {
		keep += " ! -name " + name
	}
	quoted := "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	return fmt.Sprintf("find %s -mindepth 1 -maxdepth 1 %s -exec rm -rf --one-file-system --preserve-root=all {} +", quoted, keep)
}

// TakeBack removes from the directory what a restore has put there for nothing. It proves first that this is all there is:
// by the mark of a restore that did not end, as TakeEmpty does, or else by comparing each entry with the repository snapshot.
// ErrNotOurs if there is anything else.
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
	if found != nil { // the last of it
		err = retry(func() error { return unix.Unlinkat(fd, RestoringMark, 0) })
	}
	if err = errors.Join(err, retry(func() error { return unix.Fsync(fd) })); err != nil {
		return fmt.Errorf("empty the volume: %w", err)
	}
	return nil
}

// isRestored makes sure that the directory holds what a repository snapshot holds, or a part of it, and nothing else.
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

// contents names what is in a volume, apart from what is no content.
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

// removeAll removes entries of a directory that is a volume's root. Nothing is removed if anything is mounted below it: a
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

// findMount looks for what is mounted at an entry of a directory, or below it. The path is that of what the error is about.
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

// openBelow opens a directory in another one on the same mount. A mount of the same file system elsewhere counts as
// another; where the system cannot tell, another file system does.
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

// openSameDevice is openBelow by the numbers of devices.
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

package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// ambush does something as soon as somebody reads the content of files.
type ambush struct {
	storage.Bucket
	packs map[string]bool // names
	once  sync.Once
	do    func()
}

func (a *ambush) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if a.packs[name] {
		a.once.Do(a.do)
	}
	return a.Bucket.Get(ctx, name, offset, length)
}

// breakWrites makes every write fail to the file at path, which this process has open.
func breakWrites(t *testing.T, path string) {
	t.Helper()
	null := must(os.Open(os.DevNull))(t) // for reading
	defer null.Close()
	for _, fd := range must(os.ReadDir("/proc/self/fd"))(t) {
		var number int
		if open, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err != nil || open != path {
			continue
		}
		must(fmt.Sscan(fd.Name(), &number))(t)
		builder{t: t}.must(unix.Dup3(int(null.Fd()), number, unix.O_CLOEXEC))
		return
	}
	t.Errorf("%s is not open", path)
}

// TestFailedFileOfSeveralNames cannot write a file that has several names: none of the names is left, all are reported,
// and everything else is restored.
func TestFailedFileOfSeveralNames(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", filler(1<<20, 1), 0o644)
	b.dir("sub", 0o755)
	b.must(os.Link(b.path("a"), b.path("b")))
	b.must(os.Link(b.path("a"), b.path("sub/c")))
	b.file("sub/whole", filler(2000, 3), 0o644)
	stamp(t, source)
	bed, memory := memoryBed(t)
	bed.backup(t, source)
	bucket := &ambush{Bucket: memory, packs: bed.contentPacks(t), do: func() { breakWrites(t, filepath.Join(target, "a")) }}
	repo := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
	result, err := archive.Restore(t.Context(), repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
	if !errors.Is(err, archive.ErrIncomplete) || result.ProblemCount != 3 {
		t.Errorf("%v, want ErrIncomplete and three problems: %v", err, problemsOf(result))
	}
	problems := "\n" + strings.Join(problemsOf(result), "\n")
	for _, text := range []string{"\na: bad file descriptor", "\nb: is another name of a, which", "\nsub/c: is another name of a, which"} {
		if !strings.Contains(problems, text) {
			t.Errorf("the problems do not say %q:%s", text, problems)
		}
	}
	want := describe(t, source)
	for _, name := range []string{"a", "b", "sub/c"} {
		delete(want, name)
	}
	compare(t, want, describe(t, target))
}

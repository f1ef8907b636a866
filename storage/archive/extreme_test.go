package archive_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// descend makes directories below root, or only opens them, each in the one before, and returns the last one.
func descend(t *testing.T, root, name string, depth int, create bool) int {
	t.Helper()
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for range depth {
		if err == nil && create {
			err = unix.Mkdirat(fd, name, 0o755)
		}
		if err != nil {
			break
		}
		parent := fd
		fd, err = unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		builder{t: t}.must(unix.Close(parent))
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestDeeperThanPathMax saves and restores entries that no path can name: directories 30,000 bytes deep.
func TestDeeperThanPathMax(t *testing.T) {
	t.Parallel()
	const depth = 150
	name := strings.Repeat("d", 200)
	source := t.TempDir()
	b := builder{t: t, root: source}
	bottom := descend(t, source, name, depth, true)
	inner := fmt.Sprintf("/proc/self/fd/%d/", bottom)
	b.must(os.WriteFile(inner+"first", []byte("far down"), 0o640))
	b.must(os.Link(inner+"first", inner+"second"))
	b.must(os.Symlink("first", inner+"symlink"))
	b.must(unix.Lsetxattr(inner+"first", "user.far", []byte("down"), 0))
	b.must(unix.Close(bottom))
	bed := later(t, newBed(t))
	saved := bed.backup(t, source)
	again := bed.backup(t, source)
	if saved.Directories != depth+1 || saved.Files != 2 || saved.Others != 1 || saved.ProblemCount != 0 || again.BytesRead != 0 {
		t.Errorf("%+v, then %+v", saved, again)
	}
	restic(t, bed.dir, "", "check", "--read-data")
	target := t.TempDir()
	bed.restore(t, target)
	want, got := descend(t, source, name, depth, false), descend(t, target, name, depth, false)
	same(t, fmt.Sprintf("/proc/self/fd/%d/.", want), fmt.Sprintf("/proc/self/fd/%d/.", got))
	b.must(unix.Close(want))
	b.must(unix.Close(got))
}

// TestTooDeep saves everything except what lies deeper than directories can be open at once.
func TestTooDeep(t *testing.T) {
	t.Parallel()
	source, target := inMemory(t, big), inMemory(t, big)
	b := builder{t: t, root: source}
	b.must(unix.Close(descend(t, source, "d", 4100, true)))
	bed, _ := memoryBed(t)
	saved := bed.backup(t, source)
	if saved.Directories != 4097 || saved.ProblemCount != 1 || !strings.Contains(problemsOf(saved)[0], "deeper than 4096") {
		t.Errorf("%d directories, problems %v", saved.Directories, problemsOf(saved))
	}
	if restored := bed.restore(t, target); restored.Directories != 4097 {
		t.Errorf("%+v", restored)
	}
}

// TestOneHugeDirectory has 200,000 entries in one directory.
func TestOneHugeDirectory(t *testing.T) {
	t.Parallel()
	const entries = 200_000
	source, target := inMemory(t, big), inMemory(t, big)
	for i := range entries {
		path := filepath.Join(source, fmt.Sprintf("entry with a name of some length %06d", i))
		if err := unix.Mknod(path, unix.S_IFREG|0o644, 0); err != nil {
			t.Fatal(err)
		}
	}
	b := builder{t: t, root: source}
	b.file("a", []byte("a"), 0o644)
	bed := later(t, newBed(t))
	saved := bed.backup(t, source)
	again := bed.backup(t, source)
	if saved.Files != entries+1 || saved.ProblemCount != 0 || again.BytesRead != 0 || bed.summary(t) != [6]int64{0, 0, entries + 1, 0, 0, 1} {
		t.Errorf("%+v, then %+v", saved, again)
	}
	restic(t, bed.dir, "", "check", "--read-data")
	if restored := bed.restore(t, target); restored.Files != entries+1 {
		t.Errorf("%+v", restored)
	}
	names, err := os.ReadDir(target)
	if err != nil || len(names) != entries+1 || names[0].Name() != "a" || !strings.HasSuffix(names[entries].Name(), "199999") {
		t.Errorf("restored %d entries, %v", len(names), err)
	}
}

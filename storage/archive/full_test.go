package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestFullTarget restores into file systems that have too little room, or too few inodes. The error names the entry
// that could not be written and the target, and says what to do.
func TestFullTarget(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", []byte("fits"), 0o644)
	b.file("big", filler(20<<20, 1), 0o644)
	b.dir("many", 0o755)
	for i := range 300 {
		b.file(fmt.Sprintf("many/%03d", i), nil, 0o644)
	}
	bed, _ := memoryBed(t)
	saved := bed.backup(t, source)
	for options, object := range map[string]string{"size=8m": "big", "size=64m,nr_inodes=100": "many/0"} {
		target := inMemory(t, options)
		result, err := archive.Restore(t.Context(), bed.repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("%s: %v", options, err)
		}
		for _, text := range []string{object, target, "is full", "make it larger", fmt.Sprint(saved.Bytes)} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v does not say %q", options, err, text)
			}
		}
		if result.ProblemCount != 0 {
			t.Errorf("%s: a full target is taken for the fault of %v", options, problemsOf(result))
		}
	}
	// A volume of one file, restored into a file, must not fill up other people's file system either.
	device, _ := device(t, 20<<20)
	fill(t, device, 0, filler(20<<20, 3))
	bed.backup(t, device)
	file := filepath.Join(inMemory(t, "size=8m"), "image")
	if _, err := bed.restoreDevice(t, archive.Target{Dir: file}); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), file) {
		t.Errorf("restore into a file: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("half a file is left")
	}
}

// TestUnwritableEntries restores, not as root, into a directory that partly belongs to others: everything else is
// restored, and the restore fails.
func TestUnwritableEntries(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	s, b := builder{t: t, root: source}, builder{t: t, root: target}
	for _, name := range []string{"locked/a", "locked/sub/b", "open/c", "z"} {
		s.dir(filepath.Dir(name), 0o755)
		s.file(name, []byte(name), 0o644)
	}
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	b.dir("locked", 0o555)
	for _, dir := range []string{target, filepath.Dir(target)} {
		b.must(os.Chmod(dir, 0o777))
	}
	asNobody(t)
	result, err := archive.Restore(t.Context(), bed.repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
	if !errors.Is(err, archive.ErrIncomplete) || !strings.Contains(err.Error(), "the first is locked") {
		t.Errorf("%v, want ErrIncomplete and the first name", err)
	}
	problems := strings.Join(problemsOf(result), "\n")
	for _, text := range []string{"locked/a: permission denied", "locked/sub: permission denied"} {
		if !strings.Contains(problems, text) {
			t.Errorf("the problems do not name %q:\n%s", text, problems)
		}
	}
	for _, name := range []string{"open/c", "z"} {
		if got, err := os.ReadFile(b.path(name)); string(got) != name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

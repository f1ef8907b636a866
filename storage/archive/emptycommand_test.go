package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestTheAdviceEmptiesADirectory runs the command that a refusal names: all data goes, and what belongs to the file
// system stays. Then the refused restore can go on.
func TestTheAdviceEmptiesADirectory(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	source := t.TempDir()
	builder{t: t, root: source}.file("saved", []byte("data"), 0o600)
	bed.backup(t, source)
	b := builder{t: t, root: filepath.Join(t.TempDir(), "it's the database's")}
	if err := os.Mkdir(b.root, 0o755); err != nil {
		t.Fatal(err)
	}
	theirs := []string{".snapshot", ".trashcan", ".zfs", "Lost+Found", "lost+found"}
	for _, dir := range append(theirs, "sub", "-rf", "sub/.snapshot") {
		b.dir(dir, 0o755)
		b.file(dir+"/file", []byte("content"), 0o600)
	}
	b.file(".hidden", nil, 0o600)
	_, err := archive.TakeEmpty(t.Context(), bed.taking(t, b.root, thisRestore))
	if err == nil {
		t.Fatal("a directory that holds something was taken for an empty one")
	}
	command := theAdvice(err)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", command, err, out)
	}
	entries, err := os.ReadDir(b.root)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
		if _, err := os.Stat(filepath.Join(b.root, entry.Name(), "file")); err != nil {
			t.Errorf("%s: %v", entry.Name(), err)
		}
	}
	if !slices.Equal(left, theirs) {
		t.Errorf("left are %q, want %q", left, theirs)
	}
	if _, err := archive.TakeEmpty(t.Context(), bed.taking(t, b.root, thisRestore)); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// theAdvice is the command that a refusal names.
func theAdvice(refusal error) string {
	return regexp.MustCompile(`find .* \{\} \+`).FindString(refusal.Error())
}

// TestTheAdviceLeavesWhatIsMounted: the advice leaves alone another file system that is mounted in the directory, or
// deeper.
func TestTheAdviceLeavesWhatIsMounted(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	source := t.TempDir()
	builder{t: t, root: source}.file("saved", []byte("data"), 0o600)
	bed.backup(t, source)
	b := builder{t: t, root: t.TempDir()}
	for _, dir := range []string{"mounted", "sub/mounted"} {
		b.dir(dir, 0o755)
		b.must(unix.Mount("stsbackup-test", b.path(dir), "tmpfs", 0, "mode=0755"))
		t.Cleanup(func() { b.must(unix.Unmount(b.path(dir), unix.MNT_DETACH)) })
		b.file(dir+"/precious", []byte("of others"), 0o600)
	}
	b.file("data", nil, 0o600)
	_, err := archive.TakeEmpty(t.Context(), bed.taking(t, b.root, thisRestore))
	if err == nil {
		t.Fatal("a directory that holds something was taken for an empty one")
	}
	_ = exec.CommandContext(t.Context(), "sh", "-c", theAdvice(err)).Run() // it cannot remove mount points
	for _, dir := range []string{"mounted", "sub/mounted"} {
		if _, err := os.Stat(b.path(dir + "/precious")); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(b.path("data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not mounted is still there: %v", err)
	}
}

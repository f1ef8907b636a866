package archive_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestTheAdviceEmptiesADirectory runs the command that a refusal names: all that is data goes, and what belongs to the file system
// stays. The restore that was refused can go on then.
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
	command := regexp.MustCompile(`find .* \{\} \+`).FindString(err.Error())
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

package archive_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestMountsInAVolume: if something is mounted in a volume, even the same file system, nothing is removed from the
// mount, or beside it.
func TestMountsInAVolume(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", []byte("x"), 0o600)
	bed.backup(t, source)
	file := bed.latest(t) // has a file where the volume has a directory
	b.must(os.Remove(b.path("a")))
	b.dir("a/b", 0o755)
	b.file("a/b/file", []byte("1"), 0o600)
	b.file("other", []byte("2"), 0o600)
	stamp(t, source)
	bed.backup(t, source)
	for name, mount := range map[string]func(where string) error{
		"another file system":  func(where string) error { return unix.Mount("stsbackup-test", where, "tmpfs", 0, "mode=0755") },
		"the same file system": func(where string) error { return unix.Mount(t.TempDir(), where, "", unix.MS_BIND, "") },
	} {
		t.Run(name, func(t *testing.T) {
			b := bed.interrupted(t)
			b.must(mount(b.path("a/b")))
			t.Cleanup(func() { b.must(unix.Unmount(b.path("a/b"), unix.MNT_DETACH)) })
			b.file("a/b/precious", []byte("of others"), 0o600)
			before := describe(t, b.root)
			_, err := archive.TakeEmpty(t.Context(), bed.taking(t, b.root, lastRestore))
			for what, err := range map[string]error{
				"TakeEmpty": err, "TakeBack": archive.TakeBack(t.Context(), bed.taking(t, b.root, lastRestore), bed.latest(t).ID),
			} {
				if err == nil || !strings.Contains(err.Error(), "a/b: something else is mounted there") {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err = archive.Restore(t.Context(), bed.repo, archive.Target{Snapshot: file, Name: claim, Dir: b.root, Replace: true}, nil)
			if err == nil || !strings.Contains(err.Error(), "something else is mounted there") {
				t.Errorf("Restore with Replace: %v", err)
			}
			after := describe(t, b.root)
			delete(before, ".") // Replace restores its saved attributes
			delete(after, ".")
			compare(t, before, after)
		})
	}
}

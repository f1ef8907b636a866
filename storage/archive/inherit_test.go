package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// handingDown prepares a target: its directories have extended attributes of their own, and hand an access control list
// down to everything made in them, which lets in others than any mode does.
func handingDown(t *testing.T, target string) builder {
	t.Helper()
	b := builder{t: t, root: target}
	b.dir("data/deep", 0o755)
	b.dir("data/others", 0o755)
	b.file("small", []byte("in the way"), 0o644)
	for _, name := range []string{".", "data", "data/deep", "small"} {
		b.must(unix.Setxattr(b.path(name), "system.posix_acl_access", []byte(acl), 0))
		b.must(unix.Setxattr(b.path(name), "user.before", []byte("of the target"), 0))
		b.must(unix.Setxattr(b.path(name), "trusted.before", []byte("of the target"), 0))
	}
	for _, name := range []string{".", "data", "data/deep"} {
		b.must(unix.Setxattr(b.path(name), "system.posix_acl_default", []byte(acl), 0))
	}
	b.must(unix.Setxattr(b.path("data"), "user.dir", []byte("of the target"), 0))
	b.must(unix.Setxattr(b.path("data"), "security.label", []byte("of the system"), 0))
	return b
}

// TestTargetThatHandsDown restores one of everything into such a target: only what the target's system owns, and
// entries that the backup does not know, keep their attributes.
func TestTargetThatHandsDown(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	odd(t, source)
	stamp(t, source)
	bed := newBed(t)
	bed.backup(t, source)
	target := t.TempDir()
	b := handingDown(t, target)
	others := describe(t, b.path("data/others"))
	result, err := archive.Restore(
		t.Context(),
		bed.repo,
		archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target, Replace: true},
		nil,
	)
	if err != nil || result.ProblemCount != 0 {
		t.Fatalf("%v, %v", err, problemsOf(result))
	}
	compare(t, others, describe(t, b.path("data/others")))
	want, got := describe(t, source), describe(t, target)
	if label := got["data"].Attrs["security.label"]; label != "of the system" {
		t.Errorf("the target's label is now %q", label)
	}
	delete(got["data"].Attrs, "security.label")
	delete(got, "data/others")
	compare(t, want, got)
}

// TestRefusedRestoreLeavesAttributes: where something is in the way, the directories keep their attributes.
func TestRefusedRestoreLeavesAttributes(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	builder{t: t, root: source}.file("small", []byte("new"), 0o644)
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	handingDown(t, target)
	before := describe(t, target)
	_, err := archive.Restore(t.Context(), bed.repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
	if !errors.Is(err, archive.ErrInTheWay) {
		t.Errorf("%v, want ErrInTheWay", err)
	}
	compare(t, before, describe(t, target))
}

// TestTargetThatHandsDownToNobody restores without root's rights into a directory of one's own.
func TestTargetThatHandsDownToNobody(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	s, b := builder{t: t, root: source}, builder{t: t, root: target}
	s.file("file", []byte("private"), 0o640)
	s.dir("dir", 0o750)
	s.file("dir/file", []byte("private too"), 0o640)
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	b.must(unix.Setxattr(target, "system.posix_acl_default", []byte(acl), 0))
	b.must(os.Chown(target, 65534, 65534))
	b.must(os.Chmod(filepath.Dir(target), 0o777))
	asNobody(t)
	bed.restore(t, target)
	for name, mode := range map[string]fs.FileMode{".": 0o755, "file": 0o640, "dir": 0o750, "dir/file": 0o640} {
		if e := describe(t, target)[name]; e.Mode.Perm() != mode || len(e.Attrs) > 0 {
			t.Errorf("%s has the mode %s and %v", name, e.Mode, e.Attrs)
		}
	}
}

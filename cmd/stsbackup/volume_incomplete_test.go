package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// withoutAttributes returns an empty directory on a filesystem without extended attributes.
func withoutAttributes(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("stsbackup-test", dir, "ramfs", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		t.Fatalf("this test needs root's rights to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestVolumeRestoreIncomplete restores files, some of which cannot get their attributes. The restore fails, and its
// result names them to people, to programs and to whoever runs a mover.
func TestVolumeRestoreIncomplete(t *testing.T) {
	s := volumeShell(t)
	source := site(t)
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(source, name)
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setxattr(path, "trusted.of", []byte(name), 0); err != nil {
			t.Fatal(err)
		}
	}
	s.run(exitDone, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	restore := func(more ...string) string {
		s.t.Helper()
		return s.run(exitFailed, append([]string{"volume", "restore", "demo/web", withoutAttributes(t), "--claim", "www-web-0"}, more...)...)
	}
	check := func(what string, result archive.Result) {
		t.Helper()
		if result.ProblemCount != 2 || len(result.Problems) != 2 || result.Problems[0].Path == "" ||
			!strings.Contains(result.Problems[1].Reason, "trusted.of") {
			t.Errorf("%s: %+v", what, result)
		}
	}
	if out := restore(); out != "" {
		t.Errorf("it failed, and says %s", out)
	}
	s.says("2 entries, the first is", "one: set extended attribute trusted.of", "two: set extended attribute trusted.of")

	var result archive.Result
	decode(t, restore("-o", "json"), &result)
	check("JSON", result)
	s.says("2 entries, the first is")
	if len(result.RepositorySnapshot) != 64 || result.Files < 3 {
		t.Errorf("%+v", result)
	}

	var left struct {
		archive.Result
		Error string `json:"error"`
	}
	file := filepath.Join(t.TempDir(), "termination-log")
	restore("--result-file", file)
	decode(t, read(t, file), &left)
	check("mover", left.Result)
	if !strings.Contains(left.Error, "not everything could be restored") || left.RepositorySnapshot != "" {
		t.Errorf("%+v", left)
	}
}

func TestVolumeInterrupted(t *testing.T) {
	s := volumeShell(t)
	source := site(t)
	s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	root := strings.TrimPrefix(s.env["STSBACKUP_REPO"], "file://")
	before := files(t, filepath.Join(root, "demo/web/snapshots"))

	ctx, cancel := context.WithCancel(t.Context())
	s.ctx, s.onOutput = ctx, cancel // the first progress line is the signal
	s.run(exitInterrupted, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0", "-o", "json")
	if diff := cmp.Diff(before, files(t, filepath.Join(root, "demo/web/snapshots"))); diff != "" {
		t.Errorf("an interrupted backup left a repository snapshot:\n%s", diff)
	}
	if left, err := filepath.Glob(filepath.Join(root, "demo/web/locks/*")); err != nil || len(left) > 0 {
		t.Errorf("an interrupted backup left locks: %v, %v", left, err)
	}
	s.ctx, s.onOutput = t.Context(), nil
	s.run(0, "volume", "restore", "demo/web", t.TempDir(), "--claim", "www-web-0")
}

// TestVolumeIncomplete saves, without being root, a volume of which only root may read some parts.
func TestVolumeIncomplete(t *testing.T) {
	s := volumeShell(t)
	root := t.TempDir()
	source := site(t)
	s.env["STSBACKUP_REPO"] = "file://" + root
	open(t, root, source)
	if err := os.WriteFile(filepath.Join(source, "secret"), []byte("x"), 0o000); err != nil {
		t.Fatal(err)
	}
	locked := t.TempDir()
	if err := os.Mkdir(filepath.Join(locked, "data"), 0o555); err != nil {
		t.Fatal(err)
	}
	open(t, root, locked)
	asNobody(t)
	s.run(exitIncomplete, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	s.says("secret", "permission denied")
	target := t.TempDir()
	s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0")
	got := files(t, target)
	if _, there := got["/secret"]; there || len(got) != 3 {
		t.Errorf("restored %v", got)
	}
	// A restore that cannot write everything has failed, and names what it could not write.
	s.run(exitFailed, "volume", "restore", "demo/web", locked, "--claim", "www-web-0")
	s.says("data/log: permission denied", "data/empty: permission denied", "not everything could be restored")
	if got := files(t, locked); got["/index.html"] == "" {
		t.Errorf("nothing else was restored: %v", got)
	}
}

// open lets every user into temporary directories.
func open(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// asNobody gives up root's rights until the end of the test; it does nothing if the test does not run as root.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	})
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// withoutAttributes is an empty directory in a file system that knows no extended attributes.
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

// TestVolumeRestoreIncomplete restores files of which some cannot be given their attributes: the restore fails, and its
// result names them, to people, to programs and to whoever runs a mover.
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

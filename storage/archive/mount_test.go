package archive

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenBelow tells a mount from a directory, even where the system's own way to tell is missing.
func TestOpenBelow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"plain", "mounted"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mounted := filepath.Join(dir, "mounted")
	if err := unix.Mount("stsbackup-test", mounted, "tmpfs", 0, ""); err != nil {
		t.Fatalf("this test needs root's rights to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mounted, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Symlink("plain", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	fd, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(fd)
	for way, open := range map[string]func(int, string) (int, error){"the system's": openBelow, "by devices": openSameDevice} {
		for name, want := range map[string][]error{
			"plain": {nil}, "mounted": {errMounted}, "file": {unix.ENOTDIR}, "link": {unix.ENOTDIR, unix.ELOOP}, "none": {unix.ENOENT},
		} {
			inner, err := open(fd, name)
			if err == nil {
				closeFD(inner)
			}
			found := false
			for _, one := range want {
				found = found || errors.Is(err, one)
			}
			if !found {
				t.Errorf("%s: %s: %v, want %v", way, name, err, want)
			}
		}
	}
}

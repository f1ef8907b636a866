package local

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage"
)

// nobody is a user who owns nothing here.
const nobody = 65534

// TestPermission opens a directory that others may read and nobody may write.
func TestPermission(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	if err := bucket.Put(t.Context(), "readable", []byte("data")); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.Mkdir(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{
		filepath.Join(dir, "readable"): 0o444, secret: 0, filepath.Join(dir, tempFolder): 0o555, dir: 0o555,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, path := range []string{dir, secret, filepath.Join(dir, tempFolder)} {
			_ = os.Chmod(path, 0o700) // so that the test's directory can be removed
		}
	})
	asNobody(t, func() {
		if _, err := bucket.Stat(t.Context(), "readable"); err != nil {
			t.Errorf("Stat of a readable object: %v", err)
		}
		for verb, err := range map[string]error{
			"Put":    bucket.Put(t.Context(), "new", []byte("data")),
			"Delete": bucket.Delete(t.Context(), "readable"),
			"List":   bucket.List(t.Context(), "", func(storage.Info) error { return nil }),
		} {
			if !errors.Is(err, storage.ErrPermission) {
				t.Errorf("%s: %v, want %v", verb, err, storage.ErrPermission)
			}
		}
		if _, err := Open(Config{Dir: filepath.Join(secret, "x")}); !errors.Is(err, storage.ErrPermission) {
			t.Errorf("Open below a folder of somebody else: %v, want %v", err, storage.ErrPermission)
		}
	})
}

// asNobody runs do with the file system taking the process for nobody. Without root's rights it runs do unchanged: then
// the modes alone forbid enough.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread() // never unlocked: the thread and its identity end with this goroutine
			if err := unix.Setfsuid(nobody); err != nil {
				t.Error(err)
				return
			}
		}
		do()
	}()
	<-done
}

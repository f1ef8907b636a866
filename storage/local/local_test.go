package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

var _ storage.FolderLister = (*Bucket)(nil)

func open(t *testing.T, config Config) *Bucket {
	t.Helper()
	bucket, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func list(t *testing.T, bucket storage.Bucket) []string {
	t.Helper()
	var names []string
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// files returns every path below dir, folders with a slash.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			path += "/"
		}
		found = append(found, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLocalKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{Open: func(t *testing.T) storage.Bucket { return open(t, Config{Dir: t.TempDir()}) }}.Test(t)
}

func TestPartOfLocalKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{
		Open: func(t *testing.T) storage.Bucket {
			bucket, err := storage.Sub(open(t, Config{Dir: t.TempDir()}), "a/b")
			if err != nil {
				t.Fatal(err)
			}
			return bucket
		},
		LongestName: storage.MaxName - len("a/b/"),
	}.Test(t)
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		config Config
		want   error
		says   string
	}{
		{Config{Dir: filepath.Join(dir, "missing")}, storage.ErrNoBucket, "missing: no such bucket: there is no such directory; create it"},
		{Config{Dir: file}, storage.ErrNoBucket, "file"},
		{Config{Dir: "relative"}, storage.ErrName, "absolute"},
		{Config{Dir: ""}, storage.ErrName, "absolute"},
	} {
		_, err := Open(test.config)
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("Open(%+v): %v; want %v that says %q", test.config, err, test.want, test.says)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second finds the directory there
		if err := open(t, Config{Dir: dir, Create: true}).Put(t.Context(), "object", nil); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "object")); err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("the object's file: %v, %v; want mode %v", info, err, fs.FileMode(fileMode))
	}
}

// TestCreatedParentsAreFlushed: a crash must not take away the path to stored objects.
func TestCreatedParentsAreFlushed(t *testing.T) {
	t.Parallel()
	there := t.TempDir()
	var flushed []string
	bucket := &Bucket{dir: filepath.Join(there, "a", "b", "c"), sync: func(file *os.File) error {
		flushed = append(flushed, file.Name())
		return file.Sync()
	}}
	for range 2 { // the second finds the directory there
		if err := bucket.create(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{filepath.Join(there, "a", "b"), filepath.Join(there, "a"), there}, flushed); diff != "" {
		t.Errorf("flushed (-want +got):\n%s", diff)
	}
	bucket.dir = filepath.Join(there, "d")
	bucket.sync = func(file *os.File) error { return &fs.PathError{Op: "sync", Path: file.Name(), Err: syscall.ENOSPC} }
	if err := bucket.create(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
}

func TestDirectoryThatVanishes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bucket")
	bucket := open(t, Config{Dir: dir, Create: true})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(t.Context(), "a/b", []byte("data")); !errors.Is(err, storage.ErrNoBucket) {
		t.Errorf("Put: %v, want %v", err, storage.ErrNoBucket)
	}
}

func TestTemporaryFilesAreNoObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	if err := bucket.Put(t.Context(), "object", []byte("data")); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, tempFolder, "left-by-a-crash")
	if err := os.WriteFile(stale, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"object"}, list(t, bucket)); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	if folders, err := bucket.Folders(t.Context(), ""); err != nil || len(folders) != 0 {
		t.Errorf("Folders: %q, %v", folders, err)
	}
	for _, name := range []string{tempFolder, tempFolder + "/left-by-a-crash"} {
		if _, err := bucket.Stat(t.Context(), name); !errors.Is(err, storage.ErrName) {
			t.Errorf("Stat(%q): %v, want %v", name, err, storage.ErrName)
		}
		if err := bucket.Put(t.Context(), name, nil); !errors.Is(err, storage.ErrName) {
			t.Errorf("Put(%q): %v, want %v", name, err, storage.ErrName)
		}
	}

	// Only files that nobody can still be writing are removed.
	written, err := os.Stat(stale)
	if err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: dir, Now: func() time.Time { return written.ModTime().Add(staleAfter) }})
	if _, err := os.Stat(stale); err != nil {
		t.Errorf("a temporary file of a day is gone: %v", err)
	}
	open(t, Config{Dir: dir, Now: func() time.Time { return written.ModTime().Add(staleAfter + time.Second) }})
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stale temporary file is still there: %v", err)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	if err := bucket.Put(t.Context(), "object", []byte("old")); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	bucket.sync = func(file *os.File) error {
		return &fs.PathError{Op: "sync", Path: file.Name(), Err: syscall.ENOSPC}
	}
	for _, name := range []string{"object", "folder/new"} {
		err := bucket.Put(t.Context(), name, []byte("data"))
		if !errors.Is(err, storage.ErrNoSpace) {
			t.Errorf("Put(%q) on a full disk: %v, want %v", name, err, storage.ErrNoSpace)
		}
	}
	if diff := cmp.Diff(before, files(t, dir)); diff != "" {
		t.Errorf("files left behind (-want +got):\n%s", diff)
	}
}

func TestDeleteRemovesEmptyFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	for _, name := range []string{"a/b/c/1", "a/2"} {
		if err := bucket.Put(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := bucket.Delete(t.Context(), "a/b/c/1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"./", tempFolder + "/", "a/", "a/2"}, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := os.MkdirAll(filepath.Join(dir, "left/by-a-crash"), 0o700); err != nil {
		t.Fatal(err)
	}
	if folders, err := bucket.Folders(t.Context(), ""); err != nil || !cmp.Equal(folders, []string{"a"}) {
		t.Errorf("Folders with an empty folder beside: %q, %v", folders, err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	bucket := open(t, Config{Dir: dir})
	if err := bucket.Put(t.Context(), "disk-2/object", []byte("data")); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"dangling": "nothing", "namespace": "disk-2"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"disk-2/object", "namespace/object"}, list(t, bucket)); diff != "" {
		t.Errorf("List with links that stay inside (-want +got):\n%s", diff)
	}
	for link, to := range map[string]string{"out": outside, "file": secret, "up": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"out/secret", "file", "up/" + filepath.Base(outside) + "/secret"} {
		if _, err := bucket.Get(t.Context(), name, 0, -1); err == nil {
			t.Errorf("Get(%q) through a link out of the directory: no error", name)
		}
	}
	if err := bucket.Put(t.Context(), "out/written", []byte("data")); err == nil {
		t.Error("Put through a link out of the directory: no error")
	}
	if diff := cmp.Diff([]string{"./", "secret"}, files(t, outside)); diff != "" {
		t.Errorf("outside of the directory (-want +got):\n%s", diff)
	}
	if err := bucket.List(t.Context(), "", func(storage.Info) error { return nil }); err == nil {
		t.Error("List with a link out of the directory: no error, though what is behind it is missing")
	}
}

func TestPipeIsNoObject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Get(t.Context(), "pipe", 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get of a named pipe: %v, want %v", err, storage.ErrNotExist)
	}
	if found := list(t, bucket); len(found) != 0 {
		t.Errorf("List shows %q", found)
	}
}

func TestReadOfAFileThatShrinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := open(t, Config{Dir: dir})
	if err := bucket.Put(t.Context(), "object", []byte("some data")); err != nil {
		t.Fatal(err)
	}
	reader, err := bucket.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := os.Truncate(filepath.Join(dir, "object"), 4); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	for err == nil {
		_, err = reader.Read(buffer)
	}
	if !strings.Contains(err.Error(), "5 bytes shorter") {
		t.Errorf("read of a file that was cut: %v", err)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for errno, want := range map[error]error{
		syscall.ENOENT: storage.ErrNotExist, syscall.ENOTDIR: storage.ErrNotExist,
		syscall.EACCES: storage.ErrPermission, syscall.EPERM: storage.ErrPermission, syscall.EROFS: storage.ErrPermission,
		syscall.ENOSPC: storage.ErrNoSpace, syscall.EDQUOT: storage.ErrNoSpace,
		syscall.ENAMETOOLONG: storage.ErrName, syscall.EISDIR: storage.ErrName,
		syscall.ESTALE: storage.ErrUnreachable, syscall.ETIMEDOUT: storage.ErrUnreachable,
		syscall.EIO: nil,
		// The reason why a context ended is never taken for a failure of the file system.
		&endedError{fmt.Errorf("lease: %w", fs.ErrNotExist)}: nil,
	} {
		if _, got := classify(&fs.PathError{Op: "write", Path: "x", Err: errno}); got != want { //nolint:errorlint // identity is meant
			t.Errorf("classify(%v) = %v, want %v", errno, got, want)
		}
	}
}

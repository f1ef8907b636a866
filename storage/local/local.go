package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// Config says which directory to open.
type Config struct {
	// Dir is the directory's absolute path.
	Dir string
	// Create makes the directory, and its parents, if it does not exist.
	Create bool
	// Now is the clock, to know which temporary files are stale; nil means time.Now.
	Now func() time.Time
}

const (
	// tempFolder holds files that are being written; objects cannot use its name.
	tempFolder = ".stsbackup-tmp"
	// staleAfter is far longer than any Put takes.
	staleAfter = 24 * time.Hour

	folderMode = 0o700
	fileMode   = 0o600
)

// Bucket is a storage.Bucket in a directory. It holds one file descriptor until it is garbage.
type Bucket struct {
	dir  string
	root *os.Root
	// sync flushes a file; only then may a medium find out that it is full.
	sync func(*os.File) error
}

// Open opens the directory. It returns storage.ErrNoBucket if the directory does not exist or is none,
// storage.ErrPermission if it cannot be entered, and storage.ErrName if Config.Dir is not absolute.
func Open(config Config) (*Bucket, error) {
	bucket := &Bucket{dir: filepath.Clean(config.Dir), sync: (*os.File).Sync}
	if !filepath.IsAbs(config.Dir) {
		return nil, fmt.Errorf("open directory %q: %w: its path must be absolute", config.Dir, storage.ErrName)
	}
	if config.Create {
		if err := bucket.create(); err != nil && !errors.Is(err, syscall.ENOTDIR) {
			return nil, bucket.fail("create", "", err)
		}
	}
	info, err := os.Stat(bucket.dir)
	if absent(err) || err == nil && !info.IsDir() {
		return nil, bucket.noBucket("open", "")
	}
	root, err := os.OpenRoot(bucket.dir)
	if err != nil {
		return nil, bucket.fail("open", "", err)
	}
	bucket.root = root
	now := config.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the injected clock
	}
	bucket.removeStale(now())
	return bucket, nil
}

// create makes the directory and its missing parents, and flushes each folder that has got a new one: an object that
// Put stores is only as safe as the way to it.
func (b *Bucket) create() error {
	var parents []string
	for dir := b.dir; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parents = append(parents, filepath.Dir(dir))
	}
	if err := os.MkdirAll(b.dir, folderMode); err != nil {
		return err
	}
	for _, parent := range parents {
		dir, err := os.Open(parent)
		if errors.Is(err, fs.ErrPermission) {
			continue // the folder may be writable but not readable, and then there is no way to flush it
		}
		if err != nil {
			return err
		}
		if err := b.flush(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeStale removes temporary files that a crash has left behind. If it cannot, for example in a read-only directory,
// Open succeeds all the same.
func (b *Bucket) removeStale(now time.Time) {
	entries, err := fs.ReadDir(b.root.FS(), tempFolder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name := path.Join(tempFolder, entry.Name())
		if info, err := b.root.Lstat(name); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > staleAfter {
			_ = b.root.Remove(name)
		}
	}
}

// Stat implements storage.Bucket.
func (b *Bucket) Stat(ctx context.Context, name string) (storage.Info, error) {
	if err := b.check(ctx, "stat", name); err != nil {
		return storage.Info{}, err
	}
	info, err := b.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return storage.Info{}, b.fail("stat", name, err)
	}
	return storage.Info{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete implements storage.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := b.check(ctx, "delete", name); err != nil {
		return err
	}
	info, err := b.root.Lstat(name)
	if absent(err) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = b.root.Remove(name)
	}
	if err != nil && !absent(err) {
		return b.fail("delete", name, err)
	}
	folder := path.Dir(name)
	for ; folder != "."; folder = path.Dir(folder) {
		if b.root.Remove(folder) != nil { // it is not empty, or somebody else has just removed it
			break
		}
	}
	// A removed object must stay removed after a crash: whoever deletes in an order relies on that order.
	if err := b.syncFolders(folder); err != nil {
		return b.fail("delete", name, err)
	}
	return nil
}

// String implements storage.Bucket.
func (b *Bucket) String() string { return "file://" + filepath.ToSlash(b.dir) }

func (b *Bucket) check(ctx context.Context, verb, name string) error {
	if ctx.Err() != nil {
		return b.fail(verb, name, ended(ctx))
	}
	if !storage.ValidName(name) || reserved(name) {
		return b.fail(verb, fmt.Sprintf("%q", name), storage.ErrName)
	}
	return nil
}

// reserved reports whether the name, or the folder, belongs to temporary files.
func reserved(name string) bool {
	return name == tempFolder || strings.HasPrefix(name, tempFolder+"/")
}

// absent reports whether an error says that there is no file with a name: nothing at all, or something else in place of
// one of its folders.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// syncFolders flushes a folder and all its parents, so that a file's name is as safe as its data. Unchanged folders
// cost nothing. If a folder is gone, somebody else has emptied it, together with its contents.
func (b *Bucket) syncFolders(folder string) error {
	for ; ; folder = path.Dir(folder) {
		if err := b.syncFolder(folder); err != nil && !absent(err) {
			return err
		}
		if folder == "." {
			return nil
		}
	}
}

func (b *Bucket) syncFolder(folder string) error {
	dir, err := b.root.Open(folder)
	if err != nil {
		return err
	}
	return b.flush(dir)
}

// flush flushes an open folder, and closes it.
func (b *Bucket) flush(dir *os.File) error {
	defer dir.Close()
	err := b.sync(dir)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // some network file systems cannot flush a folder, and need not
	}
	return err
}

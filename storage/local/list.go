package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// entry is a file or a folder, with its name in the bucket.
type entry struct {
	name     string
	folder   bool
	size     int64
	modified time.Time
}

// key is the sort key of an entry: a folder's contents come where the folder's name and a slash would come.
func (e entry) key() string {
	if e.folder {
		return e.name + "/"
	}
	return e.name
}

// errFound ends a walk that has seen enough.
var errFound = errors.New("found")

// List implements storage.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	// The walk begins in the folder where the prefix lies, so that a part of a bucket costs only that part.
	folder := "."
	if slash := strings.LastIndexByte(prefix, '/'); slash >= 0 {
		folder = prefix[:slash]
	}
	if !storage.ValidPrefix(prefix) {
		return b.live(ctx, prefix) // no object can have this prefix
	}
	return b.walk(ctx, folder, prefix, fn)
}

// walk calls fn for every object in and below the folder whose name starts with prefix.
func (b *Bucket) walk(ctx context.Context, folder, prefix string, fn func(storage.Info) error) error {
	entries, err := b.read(ctx, folder, prefix)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := b.live(ctx, prefix); err != nil {
			return err
		}
		if entry.folder {
			err = b.walk(ctx, entry.name, prefix, fn)
		} else {
			err = fn(storage.Info{Name: entry.name, Size: entry.size, Modified: entry.modified})
		}
		if err != nil {
			return err
		}
	}
	return b.live(ctx, prefix)
}

// Folders implements storage.FolderLister.
func (b *Bucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	if !storage.ValidFolderPrefix(prefix) {
		return nil, b.fail("list folders below", fmt.Sprintf("%q", prefix), storage.ErrName)
	}
	entries, err := b.read(ctx, path.Clean(prefix), prefix)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, entry := range entries {
		if !entry.folder {
			continue
		}
		// A crash can leave a folder without objects; finding one object is enough to know.
		err := b.walk(ctx, entry.name, entry.key(), func(storage.Info) error { return errFound })
		if err == errFound { //nolint:errorlint // walk returns it unchanged
			folders = append(folders, path.Base(entry.name))
		} else if err != nil {
			return nil, err
		}
	}
	slices.Sort(folders)
	return folders, nil
}

// read returns the entries of a folder that can be an object with the prefix, or the folder of one, sorted by key. A
// missing folder is empty.
func (b *Bucket) read(ctx context.Context, folder, prefix string) ([]entry, error) {
	if err := b.live(ctx, prefix); err != nil {
		return nil, err
	}
	found, err := fs.ReadDir(b.root.FS(), folder)
	if err != nil && !absent(err) {
		return nil, b.fail("list", folder, err)
	}
	if err != nil {
		return nil, nil
	}
	var entries []entry
	for _, file := range found {
		name := path.Join(folder, file.Name())
		matches := strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name+"/")
		if !matches || !storage.ValidName(name) || reserved(name) {
			continue
		}
		info, err := b.root.Stat(name)
		if absent(err) {
			continue // removed meanwhile, or a link to nothing
		}
		if err != nil {
			return nil, b.fail("list", name, err)
		}
		if info.IsDir() || info.Mode().IsRegular() {
			entries = append(entries, entry{name, info.IsDir(), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key(), b.key()) })
	return entries, nil
}

// live returns an error if the context of a listing has ended.
func (b *Bucket) live(ctx context.Context, prefix string) error {
	if ctx.Err() != nil {
		return b.fail("list", prefix, ended(ctx))
	}
	return nil
}

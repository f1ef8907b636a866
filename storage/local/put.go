package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/stsbackup/stsbackup/storage"
)

// putAttempts bounds how often Put tries to get its file into a folder that others keep removing because it is empty:
// each of them has removed an object in between, which takes longer than one more attempt.
const putAttempts = 100

// writeSize is how much is written between two looks at the context.
const writeSize = 1 << 20

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	return b.PutPaced(ctx, name, data, nil)
}

// PutPaced implements storage.PacedPutter.
func (b *Bucket) PutPaced(ctx context.Context, name string, data []byte, pace storage.Pace) error {
	if err := b.check(ctx, "put", name); err != nil {
		return err
	}
	temp, err := b.writeTemp(ctx, data, pace)
	if err == nil {
		if err = b.publish(temp, name); err != nil {
			_ = b.root.Remove(temp)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return b.noBucket("put", name)
	default:
		return b.fail("put", name, err)
	}
}

// writeTemp stores data in a temporary file, safe from a crash, and returns its name. On an error it leaves no file.
func (b *Bucket) writeTemp(ctx context.Context, data []byte, pace storage.Pace) (string, error) {
	if err := b.root.Mkdir(tempFolder, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	temp := path.Join(tempFolder, rand.Text())
	file, err := b.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", err
	}
	err = b.write(ctx, file, data, pace)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = b.root.Remove(temp)
		return "", err
	}
	return temp, nil
}

func (b *Bucket) write(ctx context.Context, file *os.File, data []byte, pace storage.Pace) error {
	for len(data) > 0 && ctx.Err() == nil {
		part := data[:min(len(data), writeSize)]
		if pace != nil && pace(ctx, len(part)) != nil {
			break // the context has ended
		}
		n, err := file.Write(part)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if err := b.sync(file); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	return nil
}

// publish renames a temporary file to its final name, durably.
func (b *Bucket) publish(temp, name string) error {
	folder := path.Dir(name)
	for attempt := 1; ; attempt++ {
		err := b.root.MkdirAll(folder, folderMode)
		if err == nil {
			err = b.root.Rename(temp, name)
		} else if b.objectInPath(folder) {
			return fmt.Errorf("make folder %s: %w", folder, syscall.EEXIST)
		}
		if err == nil {
			return b.syncFolders(folder)
		}
		// A folder that was just made can be gone again: it was empty when a Delete came by. Depending on the moment,
		// MkdirAll then says that it does not exist, that it exists, or that it is no folder.
		passing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR)
		if !passing || attempt == putAttempts || b.folderAt(name) {
			return err
		}
	}
}

// objectInPath reports whether one of the elements of a folder's name is an object, so that the folder cannot exist.
func (b *Bucket) objectInPath(folder string) bool {
	for ; folder != "."; folder = path.Dir(folder) {
		if info, err := b.root.Lstat(folder); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// folderAt reports whether there is a folder in place of an object.
func (b *Bucket) folderAt(name string) bool {
	info, err := b.root.Lstat(name)
	return err == nil && info.IsDir()
}

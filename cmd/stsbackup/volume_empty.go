package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
)

const (
	// restoringMark is a file that stands in a volume while it is being filled. Whatever is beside it then is an
	// unfinished restore's, and nobody will miss it.
	restoringMark = archive.RestoringMark
	// lostAndFound is made by filesystems, and is no content.
	lostAndFound = "lost+found"
)

// takeEmpty makes sure that dir holds nothing, apart from what an unfinished restore has left there, which it removes.
// A volume that was used before, or is in use, may hold the only copy of somebody's data, and restored files among it
// would be neither. Until done is called, dir is marked as being filled.
func takeEmpty(dir string) (done func() error, err error) {
	mark := filepath.Join(dir, restoringMark)
	_, err = os.Lstat(mark)
	unfinished := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look into the volume: %w", err)
	}
	names, err := contents(dir)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 && !unfinished {
		return nil, fmt.Errorf("the volume is not empty: it holds %q; empty it if nothing on it is needed, or have another one used", names[0])
	}
	if err := removeAll(dir, names); err != nil {
		return nil, err
	}
	if err := writeMark(mark); err != nil {
		return nil, fmt.Errorf("mark the volume as being filled: %w", err)
	}
	return func() error { return removeMark(dir, mark) }, nil
}

// emptyDir removes all contents of dir, which a restore has put there.
func emptyDir(dir string) error {
	names, err := contents(dir)
	if err != nil {
		return err
	}
	return errors.Join(removeAll(dir, names), syncFile(dir))
}

// contents names what is in a volume, apart from what is no content.
func contents(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look into the volume: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); name != lostAndFound && name != restoringMark {
			names = append(names, name)
		}
	}
	return names, nil
}

func removeAll(dir string, names []string) error {
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove what a restore has left: %w", err)
		}
	}
	return nil
}

// writeMark makes sure that the mark is on the disk before anything else is.
func writeMark(mark string) error {
	file, err := os.OpenFile(mark, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(filepath.Dir(mark)), file.Sync(), file.Close())
}

// removeMark removes the mark, and leaves no trace of that in the times of dir.
func removeMark(dir, mark string) error {
	info, err := os.Stat(dir)
	if err == nil {
		err = os.Remove(mark)
	}
	if err == nil {
		err = os.Chtimes(dir, time.Time{}, info.ModTime())
	}
	if err == nil {
		err = syncFile(dir)
	}
	if err != nil {
		return fmt.Errorf("unmark the volume: %w", err)
	}
	return nil
}

func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

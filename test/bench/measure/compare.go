package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// compareSize is how many bytes of two files are compared at once.
const compareSize = 256 << 10

// Same returns an error that says where two directory trees differ: speed counts only if the data came back.
func Same(want, got string) error {
	buffers := [2][]byte{make([]byte, compareSize), make([]byte, compareSize)}
	seen := 0
	err := filepath.WalkDir(want, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		seen++
		name, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		return sameFile(path, filepath.Join(got, name), buffers)
	})
	if err != nil {
		return fmt.Errorf("compare what was restored: %w", err)
	}
	restored := 0
	err = filepath.WalkDir(got, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			restored++
		}
		return err
	})
	if err == nil && restored != seen {
		err = fmt.Errorf("%d files instead of %d", restored, seen)
	}
	if err != nil {
		return fmt.Errorf("compare what was restored: %w", err)
	}
	return nil
}

func sameFile(want, got string, buffers [2][]byte) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	for {
		n, errA := io.ReadFull(a, buffers[0])
		m, errB := io.ReadFull(b, buffers[1])
		if !bytes.Equal(buffers[0][:n], buffers[1][:m]) {
			return fmt.Errorf("%s differs from %s", got, want)
		}
		if ended(errA) && ended(errB) {
			return nil
		}
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

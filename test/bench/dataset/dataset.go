package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// bufferSize is how much data is generated at once.
const bufferSize = 1 << 20

// Kinds of data; the kind is a part of every seed.
const (
	kindRandom uint64 = iota
	kindPage
	kindSmall
	kindReplica
	kindShared
	kindWords
)

// source returns the bytes that belong to a place, which is a kind of data and up to two numbers.
func source(kind, major, minor uint64) *rand.ChaCha8 {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[0:], kind)
	binary.LittleEndian.PutUint64(seed[8:], major)
	binary.LittleEndian.PutUint64(seed[16:], minor)
	return rand.NewChaCha8(seed)
}

// Random fills a directory with incompressible files of equal size, in bytes.
func Random(dir string, files int, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a data set: %w", err)
	}
	buf := make([]byte, bufferSize)
	for i := range files {
		from := io.LimitReader(source(kindRandom, uint64(i), 0), size)
		if err := fill(filepath.Join(dir, fmt.Sprintf("random-%d", i)), from, buf); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a file from what it reads.
func fill(path string, from io.Reader, buf []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make a data set: %w", err)
	}
	defer file.Close()
	// Without the wrapper the file would use a buffer of its own.
	if _, err := io.CopyBuffer(struct{ io.Writer }{file}, from, buf); err != nil {
		return fmt.Errorf("fill %s: %w", path, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("fill %s: %w", path, err)
	}
	return nil
}

const (
	// stretch is the unit in which replicas share data, in bytes.
	stretch = 1 << 20
	// ownEvery: one stretch in this many belongs to the replica alone, so that the replicas share 95 %.
	ownEvery = 20
)

// Replicas fills each directory with an incompressible file of the given size, in bytes. 95 % of their bytes are the
// same in all of them, and at the same places.
func Replicas(dirs []string, size int64) error {
	buf := make([]byte, stretch)
	for replica, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make a data set: %w", err)
		}
		path := filepath.Join(dir, "data")
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("make a data set: %w", err)
		}
		defer file.Close()
		for at := int64(0); at < size; at += stretch {
			number := uint64(at / stretch)
			from := source(kindShared, number, 0)
			if number%ownEvery == 0 {
				from = source(kindReplica, number, uint64(replica))
			}
			_, _ = from.Read(buf) // it always fills the buffer
			if _, err := file.Write(buf[:min(stretch, size-at)]); err != nil {
				return fmt.Errorf("fill %s: %w", path, err)
			}
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("fill %s: %w", path, err)
		}
	}
	return nil
}

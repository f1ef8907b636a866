package dataset_test

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/stsbackup/stsbackup/test/bench/dataset"
)

const mib = 1 << 20

// compressed returns the size of the data in bytes after compression with zstd's default level, in blocks of a MiB.
func compressed(t *testing.T, data []byte) (size int) {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(mib, len(data))
		size += len(encoder.EncodeAll(data[:n], nil))
		data = data[n:]
	}
	return size
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// contents returns the hashes of all files in a directory.
func contents(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	found := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[name] = sha256.Sum256(read(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSetsAreAlwaysTheSame(t *testing.T) {
	sets := map[string]func(dir string) error{
		"random": func(dir string) error { return dataset.Random(dir, 2, mib+1) },
		"pages":  func(dir string) error { return dataset.Pages(dir, 2, mib) },
		"changed pages": func(dir string) error {
			if err := dataset.Pages(dir, 2, mib); err != nil {
				return err
			}
			return dataset.ChangePages(dir, 2, mib, 1)
		},
		"small": func(dir string) error { return dataset.Small(dir, 3, 5) },
	}
	for name, make := range sets {
		t.Run(name, func(t *testing.T) {
			one, two := t.TempDir(), t.TempDir()
			for _, dir := range []string{one, two} {
				if err := make(dir); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(contents(t, one), contents(t, two)); diff != "" {
				t.Errorf("two runs differ (-first +second):\n%s", diff)
			}
		})
	}
}

func TestRandom(t *testing.T) {
	dir := t.TempDir()
	if err := dataset.Random(dir, 2, mib); err != nil {
		t.Fatal(err)
	}
	first, second := read(t, dir, "random-0"), read(t, dir, "random-1")
	if len(first) != mib || len(second) != mib || bytes.Equal(first, second) {
		t.Errorf("files of %d and %d bytes, equal: %t", len(first), len(second), bytes.Equal(first, second))
	}
	if size := compressed(t, first); size < mib {
		t.Errorf("compresses to %d bytes", size)
	}
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	if err := dataset.Pages(dir, 2, 2*mib); err != nil {
		t.Fatal(err)
	}
	before := read(t, dir, "segment-1")
	if ratio := float64(len(before)) / float64(compressed(t, before)); ratio < 1.9 || ratio > 2.2 {
		t.Errorf("compresses %.2f to 1", ratio)
	}
	if err := dataset.ChangePages(dir, 2, 2*mib, 1); err != nil {
		t.Fatal(err)
	}
	after, changed := read(t, dir, "segment-1"), 0
	if len(after) != len(before) {
		t.Fatalf("has %d bytes after a change in place", len(after))
	}
	for at := 0; at < len(before); at += dataset.PageSize {
		if !bytes.Equal(before[at:at+dataset.PageSize], after[at:at+dataset.PageSize]) {
			changed++
		}
	}
	if pages := len(before) / dataset.PageSize; changed < 1 || changed > max(pages/100, 1) {
		t.Errorf("%d of %d pages changed", changed, pages)
	}
}

func TestReplicasShare(t *testing.T) {
	dir := t.TempDir()
	dirs := []string{filepath.Join(dir, "0"), filepath.Join(dir, "1")}
	if err := dataset.Replicas(dirs, 40*mib); err != nil {
		t.Fatal(err)
	}
	one, two, shared := read(t, dirs[0], "data"), read(t, dirs[1], "data"), 0
	for at := 0; at < len(one); at += mib {
		if bytes.Equal(one[at:at+mib], two[at:at+mib]) {
			shared++
		}
	}
	if shared != 38 {
		t.Errorf("share %d of 40 MiB", shared)
	}
}

func TestSmall(t *testing.T) {
	dir := t.TempDir()
	if err := dataset.Small(dir, 4, 100); err != nil {
		t.Fatal(err)
	}
	kinds, total := map[[32]byte]bool{}, 0
	all := contents(t, dir)
	for name, hash := range all {
		kinds[hash] = true
		total += len(read(t, dir, name))
	}
	if len(all) != 400 || len(kinds) < 390 { // a few are empty
		t.Errorf("%d files with %d contents", len(all), len(kinds))
	}
	if average := total / len(all); average < 1500 || average > 2500 {
		t.Errorf("%d bytes on average", average)
	}
}

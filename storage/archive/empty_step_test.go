package archive_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// Comparing and removing millions of entries takes a while, and nothing else happens meanwhile: each entry is reported.
func TestTakingSaysThatItGetsOn(t *testing.T) {
	t.Parallel()
	bed := savedSpecimen(t)
	entries := func(dir string) (n int) {
		err := filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n - 1 // without the root
	}
	for name, do := range map[string]func(archive.Taking) error{
		"TakeEmpty": func(taking archive.Taking) error { _, err := archive.TakeEmpty(t.Context(), taking); return err },
		"TakeBack":  func(taking archive.Taking) error { return archive.TakeBack(t.Context(), taking, bed.latest(t).ID) },
	} {
		dir := bed.interrupted(t).root
		steps, taking := 0, bed.taking(t, dir, thisRestore)
		taking.Step = func() { steps++ }
		all := entries(dir) - 1 // without the mark
		if err := do(taking); err != nil {
			t.Fatal(err)
		}
		if steps < 2*all { // compared and removed
			t.Errorf("%s told of %d steps, with %d entries to compare and remove", name, steps, all)
		}
	}
}

// TestSymlinksInAVolume: the target of a symlink in a volume stays.
func TestSymlinksInAVolume(t *testing.T) {
	t.Parallel()
	bed, _ := memoryBed(t)
	target, check := outside(t)
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.must(os.Symlink("../victim", b.path("link")))
	bed.backup(t, source)
	must(archive.TakeEmpty(t.Context(), bed.taking(t, target, lastRestore)))(t)
	bed.restore(t, target)
	b.must(must(archive.TakeEmpty(t.Context(), bed.taking(t, target, thisRestore)))(t)())
	compareNames(t, target)
	check()
}

package archive_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// TestOfTheFileSystem: what belongs to the file system is not saved, compared, removed or restored, and what may be
// somebody's is named.
func TestOfTheFileSystem(t *testing.T) {
	t.Parallel()
	source := builder{t: t, root: t.TempDir()}
	source.file("data", []byte("the data"), 0o644)
	for _, name := range []string{"lost+found", "Lost+Found", ".snapshot", ".zfs", ".trashcan"} {
		source.dir(name, 0o755)
		source.file(name+"/old", []byte("the data, as it was"), 0o644)
		source.dir("sub/"+name, 0o755)
		source.file("sub/"+name+"/own", []byte("the user's own"), 0o644)
	}
	source.dir("LOST+FOUND", 0o755) // with nothing in it
	bed, _ := memoryBed(t)
	saved := bed.backup(t, source.root)
	if saved.Files != 6 || len(saved.Problems) > 0 {
		t.Errorf("saved %+v", saved)
	}
	var named []string
	for _, warning := range saved.Warnings {
		named = append(named, strings.Fields(warning)[2])
	}
	slices.Sort(named)
	if want := []string{".snapshot", ".trashcan", ".zfs", "Lost+Found"}; !slices.Equal(named, want) {
		t.Errorf("%q are named as left out, want %q", named, want)
	}

	target := builder{t: t, root: t.TempDir()}
	target.dir(".snapshot/hourly", 0o755)
	target.dir("LOST+FOUND", 0o755)
	done := must(archive.TakeEmpty(t.Context(), bed.taking(t, target.root, thisRestore)))(t)
	restored := bed.restore(t, target.root)
	target.must(done())
	if restored.Files != 6 || len(restored.Warnings) > 0 {
		t.Errorf("restored %+v", restored)
	}
	compareNames(t, target.root, ".snapshot", "LOST+FOUND", "data", "sub")
	compareNames(t, target.path("sub"), ".snapshot", ".trashcan", ".zfs", "Lost+Found", "lost+found")
	target.must(archive.TakeBack(t.Context(), bed.taking(t, target.root, thisRestore), bed.latest(t).ID))
	compareNames(t, target.root, ".snapshot", "LOST+FOUND")
	compareNames(t, target.path(".snapshot"), "hourly")
}

// TestFilesWithSuchNames: files with such names are data, and a volume that holds one is not empty.
func TestFilesWithSuchNames(t *testing.T) {
	t.Parallel()
	source, target := builder{t: t, root: t.TempDir()}, builder{t: t, root: t.TempDir()}
	source.file(".snapshot", []byte("mine"), 0o644)
	source.must(os.Symlink("x", source.path(".zfs")))
	bed, _ := memoryBed(t)
	bed.backup(t, source.root)
	bed.restore(t, target.root)
	compareNames(t, target.root, ".snapshot", ".zfs")
	if _, err := archive.TakeEmpty(t.Context(), bed.taking(t, target.root, thisRestore)); err == nil ||
		!strings.Contains(err.Error(), "not empty") {
		t.Errorf("error %v", err)
	}
}

// TestOfTheFileSystemSavedByOthers: directories of the file system that another tool, or an older version of this one,
// saved are passed over, named, and counted as they were when they were saved.
func TestOfTheFileSystemSavedByOthers(t *testing.T) {
	t.Parallel()
	parent, volume := volume(t)
	source := builder{t: t, root: volume}
	source.dir(".snapshot/hourly/deep", 0o755)
	source.file(".snapshot/hourly/deep/old", []byte("as it was"), 0o644)
	dir, target := t.TempDir(), builder{t: t, root: t.TempDir()}
	restic(t, dir, "", "init")
	restic(t, dir, parent, "backup", claim)
	bed := openBed(t, dir)
	restored := bed.restore(t, target.root)
	if _, err := os.Lstat(target.path(".snapshot")); !os.IsNotExist(err) {
		t.Errorf("it was restored: %v", err)
	}
	if len(restored.Warnings) != 1 || !strings.Contains(restored.Warnings[0], "directory .snapshot") {
		t.Errorf("warnings %q", restored.Warnings)
	}
	other := t.TempDir()
	source.must(os.RemoveAll(source.path(".snapshot")))
	fewer := t.TempDir()
	restic(t, fewer, "", "init")
	restic(t, fewer, parent, "backup", claim)
	if without := openBed(t, fewer).restore(t, other); restored.Files != without.Files+1 ||
		restored.Bytes != without.Bytes+int64(len("as it was")) {
		t.Errorf("counted %d files of %d bytes, without it %d of %d", restored.Files, restored.Bytes, without.Files, without.Bytes)
	}
}

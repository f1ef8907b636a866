package archive_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// later opens a repository an hour later: nothing on disk counts as just touched.
func later(t *testing.T, b bed) bed {
	t.Helper()
	bucket := must(local.Open(local.Config{Dir: b.dir}))(t)
	options := repository.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}
	b.repo = must(repository.Open(t.Context(), bucket, password, options))(t)
	return b
}

// summary is what the newest repository snapshot says about files and directories.
func (b bed) summary(t *testing.T) [6]int64 {
	t.Helper()
	s := b.latest(t).Summary
	return [6]int64{s.FilesNew, s.FilesChanged, s.FilesUnmodified, s.DirsNew, s.DirsChanged, s.DirsUnmodified}
}

// TestUnchangedFilesAreNotRead changes a volume between two backups, and looks at what the second one reads.
func TestUnchangedFilesAreNotRead(t *testing.T) {
	t.Parallel()
	const big = 3 << 20
	replaced := func(b builder, name string, data []byte) { // same size, same mtime
		info := must(os.Stat(b.path(name)))(b.t)
		b.file(name, data, 0o644)
		b.must(os.Chtimes(b.path(name), info.ModTime(), info.ModTime()))
	}
	tests := map[string]struct {
		change  func(b builder)
		read    int64
		summary [6]int64
	}{
		"nothing":               {func(builder) {}, 0, [6]int64{0, 0, 4, 0, 0, 3}},
		"a file more":           {func(b builder) { b.file("sub/new", []byte("new"), 0o644) }, 3, [6]int64{1, 0, 4, 0, 2, 1}},
		"a file less":           {func(b builder) { b.must(os.Remove(b.path("sub/b"))) }, 0, [6]int64{0, 0, 3, 0, 2, 1}},
		"content":               {func(b builder) { b.file("big", filler(big, 3), 0o644) }, big, [6]int64{0, 1, 3, 0, 1, 2}},
		"content, not its time": {func(b builder) { replaced(b, "a", []byte("A")) }, 1, [6]int64{0, 1, 3, 0, 1, 2}},
		"mode":                  {func(b builder) { b.must(os.Chmod(b.path("a"), 0o600)) }, 1, [6]int64{0, 1, 3, 0, 1, 2}},
		"attribute": {
			func(b builder) { b.must(unix.Setxattr(b.path("a"), "user.x", []byte("y"), 0)) },
			1,
			[6]int64{0, 1, 3, 0, 1, 2},
		},
		"a directory for a file": {func(b builder) {
			b.must(os.Remove(b.path("a")))
			b.dir("a", 0o755)
		}, 0, [6]int64{0, 0, 3, 1, 1, 2}},
		"a file for a directory": {func(b builder) {
			b.must(os.RemoveAll(b.path("sub2")))
			b.file("sub2", []byte("file"), 0o644)
		}, 4, [6]int64{1, 0, 3, 0, 1, 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			source := t.TempDir()
			b := builder{t: t, root: source}
			b.dir("sub", 0o755)
			b.dir("sub2", 0o755)
			b.file("a", []byte("a"), 0o644)
			b.file("big", filler(big, 1), 0o644)
			b.file("sub/b", []byte("b"), 0o644)
			b.file("sub2/empty", nil, 0o644)
			bed := later(t, newBed(t))
			first := bed.backup(t, source)
			if got := bed.summary(t); got != [6]int64{4, 0, 0, 3, 0, 0} || bed.latest(t).Parent != nil || first.BytesRead != big+2 {
				t.Errorf("first backup: %v, %+v", got, first)
			}
			tt.change(b)
			second := bed.backup(t, source)
			if got := bed.summary(t); got != tt.summary || second.BytesRead != tt.read {
				t.Errorf("read %d bytes, want %d; %v, want %v", second.BytesRead, tt.read, got, tt.summary)
			}
			if parent := bed.latest(t).Parent; parent == nil || parent.String() != first.RepositorySnapshot {
				t.Errorf("parent is %v, want %s", parent, first.RepositorySnapshot)
			}
			target := t.TempDir()
			bed.restore(t, target)
			same(t, source, target)
		})
	}
}

func TestForceRead(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	bed := later(t, newBed(t))
	first := bed.backup(t, source)
	again := bed.backup(t, source)
	if again.BytesRead != 0 || again.Bytes != first.Bytes || again.Files != first.Files {
		t.Errorf("%+v after %+v", again, first)
	}
	result, err := archive.Backup(t.Context(), bed.repo, archive.Source{Dir: source, Name: claim, Host: "demo/web", ForceRead: true}, nil)
	if err != nil || result.BytesRead != first.BytesRead || bed.latest(t).Parent != nil {
		t.Errorf("%v, %+v, want %d bytes read", err, result, first.BytesRead)
	}
	restic(t, bed.dir, "", "check", "--read-data")
	target := t.TempDir()
	restic(t, bed.dir, "", "restore", "--target", target, again.RepositorySnapshot)
	same(t, source, filepath.Join(target, claim))
}

// TestCopiedVolume saves a volume and then a copy of it, as some storage systems make clones: ctime and inode differ,
// and prove nothing.
func TestCopiedVolume(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	bed := later(t, newBed(t))
	bed.backup(t, source)
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", source, clone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	builder{t: t, root: clone}.file("small", []byte("other\n"), 0o600)
	result := bed.backup(t, clone)
	if result.BytesRead != 6 {
		t.Errorf("read %d bytes of the copy, want the 6 that were changed", result.BytesRead)
	}
	target := t.TempDir()
	bed.restore(t, target)
	same(t, clone, target)
}

// TestRecognisedFurtherDown saves a volume whose root, and everything directly in it, has changed. Entries further down
// show that the volume is no copy, so a file with the same size and time is a different one.
func TestRecognisedFurtherDown(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	b := builder{t: t, root: source}
	b.dir("data/base", 0o755)
	b.dir("data/gone", 0o755)
	b.file("data/base/changed", []byte("old"), 0o644)
	b.file("data/base/kept", []byte("kept"), 0o644)
	bed := later(t, newBed(t))
	bed.backup(t, source)
	info := must(os.Stat(b.path("data/base/changed")))(t)
	b.file("data/base/changed", []byte("new"), 0o644)
	b.must(os.Chtimes(b.path("data/base/changed"), info.ModTime(), info.ModTime()))
	b.must(os.Remove(b.path("data/gone")))
	b.file("new", []byte("1"), 0o644)
	b.must(os.Chmod(b.path("data/base"), 0o700))
	if result := bed.backup(t, source); result.BytesRead != 4 {
		t.Errorf("read %d bytes, want those of the new file, and of the one whose time says nothing", result.BytesRead)
	}
	bed.restore(t, target)
	same(t, source, target)
}

// TestJustTouched saves a file that was changed in the very moment when the first backup read it: its times may be
// unchanged, so only its content shows the change.
func TestJustTouched(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("f", []byte("old"), 0o644)
	bed := newBed(t)
	bed.backup(t, source)
	if result := bed.backup(t, source); result.BytesRead != 3 {
		t.Errorf("read %d bytes", result.BytesRead)
	}
}

// TestLostContentIsReadAgain removes an index object, as if prune had gone wrong: Backup saves an unchanged file anew
// if the index does not know its content.
func TestLostContentIsReadAgain(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", filler(1<<20, 1), 0o644)
	bucket := storagetest.NewMemory()
	options := repository.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}
	bed := bed{repo: must(repository.Init(t.Context(), bucket, password, options))(t)}
	bed.backup(t, source)
	lost := objectsBelow(t, bucket, "index/")
	b.file("b", filler(2<<20, 3), 0o644)
	if result := bed.backup(t, source); result.BytesRead != 2<<20 {
		t.Fatalf("read %d bytes", result.BytesRead)
	}
	for _, name := range lost {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if result := bed.backup(t, source); result.BytesRead != 1<<20 {
		t.Errorf("read %d bytes, want those of the file whose content was lost", result.BytesRead)
	}
	target := t.TempDir()
	bed.restore(t, target)
	same(t, source, target)
}

// TestChangedPiecesOnly changes a few bytes in the middle of a large file: all of the file is read, and little of it
// stored.
func TestChangedPiecesOnly(t *testing.T) {
	t.Parallel()
	const size = 48 << 20
	source, target := t.TempDir(), t.TempDir()
	b := builder{t: t, root: source}
	content := filler(size, 1)
	b.file("f", content, 0o644)
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	copy(content[size/2:], "changed")
	b.file("f", content, 0o644)
	if result := bed.backup(t, source); result.BytesRead != size || result.BytesStored > maxPieces*8<<20 {
		t.Errorf("%+v, want all read, and at most %d pieces stored", result, maxPieces)
	}
	content = append([]byte("longer"), content...) // shifts everything
	b.file("f", content, 0o644)
	if result := bed.backup(t, source); result.BytesRead != size+6 || result.BytesStored > maxPieces*8<<20 {
		t.Errorf("%+v, want all read, and at most %d pieces stored", result, maxPieces)
	}
	bed.restore(t, target)
	same(t, source, target)
}

// maxPieces is how many pieces a change in one place may touch. The test allows 8 MiB for each.
const maxPieces = 2

// TestLostAndFound saves directories that look like lost+found but belong to the user, and leaves the target's own
// alone.
func TestLostAndFound(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	s, b := builder{t: t, root: source}, builder{t: t, root: target}
	s.file("lost+found", []byte("the user's own"), 0o644)
	s.dir("sub/lost+found", 0o755)
	s.file("sub/lost+found/x", []byte("too"), 0o644)
	bed, _ := memoryBed(t)
	bed.backup(t, source)
	bed.restore(t, target)
	for _, name := range []string{"lost+found", "sub/lost+found/x"} {
		if want, got := must(os.ReadFile(s.path(name)))(t), must(os.ReadFile(b.path(name)))(t); !bytes.Equal(want, got) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// restic saves the file system's own; the target's stays.
	parent, volume := volume(t)
	dir, fresh := t.TempDir(), t.TempDir()
	restic(t, dir, "", "init")
	restic(t, dir, parent, "backup", claim)
	f := builder{t: t, root: fresh}
	f.dir("lost+found", 0o700)
	f.file("lost+found/#1", []byte("of the target"), 0o600)
	before := describe(t, f.path("lost+found"))
	openBed(t, dir).restore(t, fresh)
	same(t, volume, fresh)
	compare(t, before, describe(t, f.path("lost+found")))
}

func objectsBelow(t *testing.T, bucket *storagetest.Memory, prefix string) []string {
	t.Helper()
	var names []string
	if err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestParentIsOfTheSameVolume has backups of other volumes between the backups of one volume.
func TestParentIsOfTheSameVolume(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	builder{t: t, root: source}.file("f", []byte("x"), 0o644)
	bed := later(t, newBed(t))
	first := bed.backup(t, source)
	for _, other := range []archive.Source{{Name: claim, Host: "demo/db"}, {Name: "www-web-1", Host: "demo/web"}} {
		other.Dir = t.TempDir()
		if _, err := archive.Backup(t.Context(), bed.repo, other, nil); err != nil {
			t.Fatal(err)
		}
	}
	bed.backup(t, source)
	if parent := bed.latest(t).Parent; parent == nil || parent.String() != first.RepositorySnapshot {
		t.Errorf("parent is %v, want %s", parent, first.RepositorySnapshot)
	}
}

// TestLinksAreReadOnce saves files with several names.
func TestLinksAreReadOnce(t *testing.T) {
	t.Parallel()
	const size = 9 << 20
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.dir("z", 0o755)
	b.file("a", filler(size, 1), 0o644)
	b.must(os.Link(b.path("a"), b.path("b")))
	b.must(os.Link(b.path("a"), b.path("z/c")))
	b.file("empty", nil, 0o644)
	b.must(os.Link(b.path("empty"), b.path("z/empty too")))
	b.must(os.Link(b.path("a"), filepath.Join(t.TempDir(), "outside")))
	bed := later(t, newBed(t))
	result := bed.backup(t, source)
	if result.BytesRead != size || result.Bytes != 3*size || result.Files != 5 {
		t.Errorf("%+v", result)
	}
	restic(t, bed.dir, "", "check", "--read-data")
	b.must(os.Link(b.path("a"), b.path("z/d"))) // gives all of its names another ctime
	if result := bed.backup(t, source); result.BytesRead != size || result.Files != 6 {
		t.Errorf("%+v", result)
	}
	target := t.TempDir()
	restored := bed.restore(t, target)
	want := describe(t, source)
	compare(t, want, describe(t, target))
	if restored.BytesRead > size+size/8 {
		t.Errorf("the restore fetched %d bytes", restored.BytesRead)
	}
	data := must(os.ReadFile(filepath.Join(target, "z/d")))(t)
	if !bytes.Equal(data, filler(size, 1)) {
		t.Error("the last name has other content")
	}
}

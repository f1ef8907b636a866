package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// onDisk is how many bytes a file takes on the disk.
func onDisk(t *testing.T, path string) int64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Blocks * 512
}

// TestHoles saves files that are mostly holes. Holes are neither read nor stored, and are holes again after the
// restore.
func TestHoles(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	tests := map[string]struct {
		size    int64
		islands map[int64]string
		read    int64 // at most
	}{
		"one hole":              {size: 1<<40 + 12345},
		"shorter than a piece":  {size: 100},
		"hole at the end":       {100*mib + 1, map[int64]string{0: "start"}, mib},
		"hole at the beginning": {100 * mib, map[int64]string{100*mib - 3: "end"}, mib},
		"islands": {
			199*mib + 999,
			map[int64]string{0: "a", 40 * mib: "b", 100*mib + 4097: string(filler(5*mib, 1)), 190 * mib: "c"},
			8 * mib,
		},
		"short holes":              {8 * mib, map[int64]string{0: "a", mib / 4: "b", mib / 2: "c", 2 * mib: "d", 8*mib - 1: "e"}, 2 * mib},
		"zeros that are no holes":  {40 * mib, map[int64]string{mib: string(make([]byte, 20*mib))}, 22 * mib},
		"hole of a piece's length": {16 * mib, map[int64]string{0: "a", 8*mib + 4096: "b"}, mib},
	}
	source := t.TempDir()
	b := builder{t: t, root: source}
	bed := newBed(t)
	for name, tt := range tests {
		b.must(os.RemoveAll(b.path("file")))
		b.sparse("file", tt.size, tt.islands)
		if name == "shorter than a piece" {
			tt.read = tt.size
		}
		saved := bed.backup(t, source)
		if saved.BytesRead > tt.read || saved.Bytes != tt.size || saved.ProblemCount != 0 {
			t.Errorf("%s: %+v, want at most %d bytes read", name, saved, tt.read)
		}
		if stored := saved.BytesStored - saved.BytesRead; stored > 24*mib {
			t.Errorf("%s: stored %d bytes more than were read", name, stored)
		}
		target := t.TempDir()
		bed.restore(t, target)
		// A file that several workers write may lie in more parts on the disk, which the file system has to keep track
		// of.
		const notes = 64 << 10
		if got, want := onDisk(t, filepath.Join(target, "file")), onDisk(t, b.path("file")); got > want+notes {
			t.Errorf("%s: takes %d bytes after the restore, and %d before", name, got, want)
		}
		info, err := os.Stat(filepath.Join(target, "file"))
		if err != nil || info.Size() != tt.size {
			t.Errorf("%s: restored %v, %v, want %d bytes", name, info, err, tt.size)
		}
		if tt.size < 1<<30 {
			same(t, source, target)
		}
	}
	b.must(os.Truncate(b.path("file"), 50*mib))
	bed.backup(t, source)
	restic(t, bed.dir, "", "check", "--read-data")
	judged := t.TempDir()
	restic(t, bed.dir, "", "restore", "--target", judged, "latest")
	same(t, source, filepath.Join(judged, claim))
}

// TestResticKnowsHoles demands that every file with a hole has one piece of the zeros that restic looks for, and that
// its other holes are cut into as few pieces as before: a hole of 10 GiB has some 2,560 pieces.
func TestResticKnowsHoles(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.sparse("large", 10*gib, map[int64]string{4 * gib: "island", 10*gib - 1: "end"})
	b.sparse("small", 512<<10, nil)
	b.sparse("too small for restic", 300<<10, nil)
	b.file("none", filler(2<<20, 1), 0o644)
	bed := newBed(t)
	bed.backup(t, source)
	b.must(bed.repo.LoadIndex(t.Context()))
	volume := must(archive.Lookup(t.Context(), bed.repo, bed.latest(t), claim, ""))(t)
	known := repository.Hash(make([]byte, 512<<10))
	for _, node := range must(archive.Entries(t.Context(), bed.repo, volume))(t) {
		found := 0
		for _, id := range node.Content {
			if id == known {
				found++
			}
		}
		want := map[string]int{"large": 1, "small": 1}[node.Name]
		if found != want || len(node.Content) > 2570 {
			t.Errorf("%s: %d of %d pieces are what restic knows holes by, want %d", node.Name, found, len(node.Content), want)
		}
	}
	restic(t, bed.dir, "", "check", "--read-data")
}

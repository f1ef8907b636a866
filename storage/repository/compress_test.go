package repository

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
)

// prose is n bytes of words, some frequent and most rare, as in a text.
func prose(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	words := rand.NewZipf(random, 1.1, 4, 5000)
	text := make([]byte, 0, n+16)
	for len(text) < n {
		word := words.Uint64()
		for _, b := range []byte(noise(fmt.Sprint(word), 3+int(word%7))) {
			text = append(text, 'a'+b%26)
		}
		text = append(text, ' ')
	}
	return string(text[:n])
}

// levels are all values of compress.Level, by growing work.
func levels() []compress.Level {
	return []compress.Level{compress.Off, compress.Fast, compress.Default, compress.Max}
}

// compressing makes a repository with a compression level, in a directory.
func compressing(t *testing.T, level compress.Level) (*Repository, string) {
	t.Helper()
	dir := t.TempDir()
	options := hasty()
	options.Compression = level
	repo, err := Init(t.Context(), directory(t, dir), password, options)
	if err != nil {
		t.Fatal(err)
	}
	return repo, dir
}

// TestCompression saves data with every level; restic and we restore it.
func TestCompression(t *testing.T) {
	content := volume{"prose": prose(40_000), "noise": noise("disk", 10_000)}
	for _, level := range levels() {
		t.Run(level.String(), func(t *testing.T) {
			repo, dir := compressing(t, level)
			want := map[ID]volume{mustBackUp(t, repo, content): content}
			sound(t, directory(t, dir), want)
			resticJudges(t, dir, want)
			for piece := range slices.Chunk([]byte(content["prose"]), 2048) {
				if at, err := repo.Locate(DataBlob, Hash(piece)); err != nil || at.Compressed != (level != compress.Off) {
					t.Fatalf("a piece that compresses: in the index %v, compressed %v", err, at.Compressed)
				}
			}
		})
	}
}

// TestCompressionWork checks the order of the levels: more work gives a smaller result.
func TestCompressionWork(t *testing.T) {
	piece := []byte(prose(1 << 20))
	last := len(piece) + 1<<10
	for _, level := range levels() {
		repo, dir := compressing(t, level)
		saved(t, repo, DataBlob, piece)
		packs := list(t, directory(t, dir), "data/")
		size := len(get(t, directory(t, dir), packs[0]))
		if len(packs) != 1 || size >= last || size < len(piece) == (level == compress.Off) {
			t.Errorf("%s: %d bytes became %d in %d packs, after %d with less work", level, len(piece), size, len(packs), last)
		}
		last = size
	}
}

package archive_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestPacksMixFiles: the size of an object does not reveal the size of a small file.
func TestPacksMixFiles(t *testing.T) {
	dir := t.TempDir()
	const files = 24 // several packs are filled at once
	for seed := range files {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(seed)), filler(10_000, uint64(seed)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo := stored(t, dir)
	packs := map[repository.ID]int{}
	for _, node := range nodesOf(t, repo) {
		at, err := repo.Locate(repository.DataBlob, node.Content[0])
		if err != nil {
			t.Fatal(err)
		}
		packs[at.Pack]++
	}
	for pack, count := range packs {
		if count < 2 {
			t.Errorf("pack %s holds one file alone; there are %d packs of %d files", pack.Short(), len(packs), files)
		}
	}
}

package archive_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// stored backs a directory up into a new repository.
func stored(t *testing.T, dir string) *repository.Repository {
	t.Helper()
	repo, err := repository.Init(t.Context(), storagetest.NewMemory(), "secret", repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Backup(t.Context(), repo, archive.Source{Dir: dir, Name: "www-web-0", Host: "demo/web"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return repo
}

// nodesOf are the entries of the only volume of a repository.
func nodesOf(t *testing.T, repo *repository.Repository) []treeblob.Node {
	t.Helper()
	snapshots, err := repo.Snapshots(t.Context())
	if err != nil || len(snapshots) != 1 {
		t.Fatalf("%v, %v", snapshots, err)
	}
	root, err := repo.LoadTree(t.Context(), *snapshots[0].Tree)
	if err != nil || len(root) != 1 {
		t.Fatalf("%v, %v", root, err)
	}
	nodes, err := repo.LoadTree(t.Context(), *root[0].Subtree)
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

// TestEachRepositoryCutsInItsOwnWay: the sizes of the pieces do not reveal a well-known file.
func TestEachRepositoryCutsInItsOwnWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), filler(12<<20, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	var cuts [2][]int
	for i := range cuts {
		repo := stored(t, dir)
		for _, id := range nodesOf(t, repo)[0].Content {
			at, err := repo.Locate(repository.DataBlob, id)
			if err != nil {
				t.Fatal(err)
			}
			cuts[i] = append(cuts[i], int(at.PlainLength))
		}
	}
	if len(cuts[0]) < 3 || slices.Equal(cuts[0], cuts[1]) {
		t.Errorf("two repositories cut a file into pieces of %v and %v bytes", cuts[0], cuts[1])
	}
}

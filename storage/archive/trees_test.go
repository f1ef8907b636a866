package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// treeMaker saves trees of chosen sizes.
type treeMaker struct {
	t      *testing.T
	repo   *repository.Repository
	writer *repository.Writer
}

func newTreeMaker(t *testing.T) *treeMaker {
	t.Helper()
	repo, err := repository.Init(t.Context(), storagetest.NewMemory(), "password", repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &treeMaker{t: t, repo: repo, writer: writer}
}

// tree saves a tree of size bytes, or a few more, with directories between its files.
func (m *treeMaker) tree(name string, size int, dirs ...*repository.ID) *repository.ID {
	m.t.Helper()
	node := func(number int) treeblob.Node {
		return treeblob.Node{
			Name:       fmt.Sprintf("%s-%03d", name, number),
			Type:       treeblob.File,
			LinkTarget: strings.Repeat("x", size/(len(dirs)+1)),
		}
	}
	nodes := []treeblob.Node{node(0)}
	for i, dir := range dirs {
		nodes = append(nodes, treeblob.Node{Name: fmt.Sprintf("%s-%03d-dir", name, i), Type: treeblob.Dir, Subtree: dir}, node(i+1))
	}
	encoded, err := json.Marshal(map[string]any{"nodes": nodes})
	if err != nil {
		m.t.Fatal(err)
	}
	id, err := m.writer.SaveBlob(m.t.Context(), repository.TreeBlob, encoded)
	if err != nil {
		m.t.Fatal(err)
	}
	return &id
}

// walkTrees names all entries, and says how much was in memory at most besides the largest tree, and how many trees
// were read again.
func walkTrees(t *testing.T, trees *openTrees, id repository.ID) (names []string, most, again int) {
	t.Helper()
	tree, err := trees.enter(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sum, largest := 0, 0
	for _, open := range trees.open {
		sum, largest = sum+open.Size(), max(largest, open.Size())
	}
	if sum != trees.bytes {
		t.Errorf("%d bytes are taken for %d", sum, trees.bytes)
	}
	most = sum - largest
	for {
		node, err := tree.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if names = append(names, node.Name); node.Type != treeblob.Dir {
			continue
		}
		inner, innerMost, innerAgain := walkTrees(t, trees, *node.Subtree)
		names, most, again = append(names, inner...), max(most, innerMost), again+innerAgain
	}
	forgotten := len(trees.open) > 1 && trees.open[len(trees.open)-2].Size() == 0
	if err := trees.leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if forgotten {
		again++
	}
	return names, most, again
}

// TestOpenTrees walks through directories within each other whose trees do not fit into the allowed memory: all entries
// come in order, and the trees never take more than the allowed memory. A large directory of very many small ones is
// not read again for each of them.
func TestOpenTrees(t *testing.T) {
	t.Parallel()
	const limit = 100 << 10
	m := newTreeMaker(t)
	chain := m.tree("bottom", 40<<10)
	for level := range 12 {
		chain = m.tree(
			fmt.Sprint("level", level),
			40<<10+level,
			m.tree(fmt.Sprint("leaf", level), 100),
			chain,
			m.tree(fmt.Sprint("last", level), 100),
		)
	}
	var small []*repository.ID
	for i := range 200 {
		small = append(small, m.tree(fmt.Sprint("small", i), 2000, m.tree(fmt.Sprint("inner", i), 2000)))
	}
	wide, around := m.tree("wide", 1<<20, small...), m.tree("around", 1<<20, chain)
	if err := m.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		root  *repository.ID
		again int
	}{"chain": {chain, 10}, "wide": {wide, 0}, "a chain in a large one": {around, 11}} {
		want, _, never := walkTrees(t, &openTrees{repo: m.repo, limit: 1 << 30}, *test.root)
		got, most, again := walkTrees(t, &openTrees{repo: m.repo, limit: limit}, *test.root)
		if diff := cmp.Diff(want, got); diff != "" || never != 0 {
			t.Errorf("%s: with less memory there are other entries (-want +got):\n%.500s", name, diff)
		}
		if most > limit || again != test.again {
			t.Errorf("%s: %d bytes beside the largest tree, and %d trees were read again, want %d", name, most, again, test.again)
		}
	}
}

// TestEmptyBlobs measures a file whose content names empty blobs.
func TestEmptyBlobs(t *testing.T) {
	t.Parallel()
	m := newTreeMaker(t)
	id, err := m.writer.SaveBlob(t.Context(), repository.DataBlob, nil)
	if err == nil {
		err = m.writer.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.repo.Judge(&treeblob.Node{Type: treeblob.File, Content: []repository.ID{id, id}})
	if err == nil || !strings.Contains(err.Error(), "empty blob "+id.String()) {
		t.Errorf("%v", err)
	}
}

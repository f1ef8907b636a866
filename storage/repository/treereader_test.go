package repository

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// readAll reads a tree entry by entry, as far as possible.
func readAll(reader *TreeReader) (nodes []treeblob.Node, err error) {
	for {
		node, err := reader.Next()
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, node)
	}
}

// TestReadTree reads a directory entry by entry: the same entries, in the same order, as LoadTree returns.
func TestReadTree(t *testing.T) {
	repo, _ := newRepo(t)
	content := Hash(nil)
	for _, count := range []int{0, 1, 5000} {
		nodes := make([]treeblob.Node, 0, count)
		for i := range count {
			nodes = append(nodes, treeblob.Node{Name: fmt.Sprintf("file-%05d", i), Type: treeblob.File, Size: uint64(i), Content: []ID{content}})
		}
		id := saved(t, repo, TreeBlob, treeOf(t, nodes))[0]
		loaded, err := repo.LoadTree(t.Context(), id)
		if err != nil || len(loaded) != count {
			t.Fatalf("%d entries of %d, %v", len(loaded), count, err)
		}
		reader, err := repo.ReadTree(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		read, err := readAll(reader)
		if diff := cmp.Diff(loaded, read); diff != "" || !errors.Is(err, io.EOF) {
			t.Errorf("%d entries: %v (-loaded +read):\n%.500s", count, err, diff)
		}
		if _, err := reader.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
	if _, err := repo.ReadTree(t.Context(), Hash([]byte("never stored"))); !errors.Is(err, ErrNoBlob) {
		t.Errorf("a tree that is not there: %v", err)
	}
}

// TestReadTreeStopsAtDamage reads the entries before the damage, and then names the tree.
func TestReadTreeStopsAtDamage(t *testing.T) {
	repo, _ := newRepo(t)
	const a, b = `{"name":"a","type":"file","content":[]}`, `{"name":"b","type":"file","content":[]}`
	for text, want := range map[string]int{
		``: 0, `[]`: 0, `null`: 0, `{}`: 0, `{"nodes":{}}`: 0, `{"nodes":[`: 0, `{"Nodes":[` + a + `]}`: 0,
		`{"nodes":[` + b + `,` + a + `]}`:           1,
		`{"nodes":[` + a + `,` + a + `]}`:           1,
		`{"nodes":[` + a + `,{"name":".."}]}`:       1,
		`{"nodes":[` + a + `,{"name":"\\x"}]}`:      1,
		`{"nodes":[` + a + `,5]}`:                   1,
		`{"nodes":[` + a + `,` + b:                  2,
		`{"nodes":[` + a + `,` + b + `]`:            2,
		`{"nodes":[` + a + `,` + b + `]}{}`:         2,
		`{"nodes":[` + a + `],"nodes":[` + b + `]}`: 1,
	} {
		id := Hash([]byte(text))
		if len(text) > 0 {
			saved(t, repo, TreeBlob, []byte(text))
		} else {
			forgeBlob(t, repo, TreeBlob, id, nil, nil)
			if err := repo.LoadIndex(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var nodes []treeblob.Node
		reader, err := repo.ReadTree(t.Context(), id)
		if err == nil {
			nodes, err = readAll(reader)
		}
		if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), id.String()) || len(nodes) != want {
			t.Errorf("%s: %d entries, %v; want %d and an error that names the tree", text, len(nodes), err, want)
		}
		if _, err := repo.LoadTree(t.Context(), id); err == nil {
			t.Errorf("%s was loaded whole", text)
		}
	}
}

// TestForgottenTree forgets a tree before each of its entries, however they are written, and remembers it.
func TestForgottenTree(t *testing.T) {
	repo, _ := newRepo(t)
	const other = `{"type":"file","name":"b","content":[]}` // in another order than ours
	file := func(name string) treeblob.Node { return treeblob.Node{Name: name, Type: treeblob.File} }
	ours := string(treeOf(t, []treeblob.Node{file("a"), file("c"), file("d")}))
	text := strings.Replace(ours, `,{"name":"c"`, ` , `+other+`,`+strings.Replace(other, `"b"`, `"bb"`, 1)+` ,{"name":"c"`, 1)
	id := saved(t, repo, TreeBlob, []byte(text))[0]
	reader, err := repo.ReadTree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for {
		if reader.Size() != len(text) {
			t.Errorf("%d bytes, want %d", reader.Size(), len(text))
		}
		reader.Forget()
		if reader.Size() != 0 {
			t.Errorf("%d bytes are left of what was forgotten", reader.Size())
		}
		if err := repo.Remember(t.Context(), reader); err != nil {
			t.Fatal(err)
		}
		node, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, node.Name)
	}
	if got := strings.Join(names, " "); got != "a b bb c d" {
		t.Errorf("entries %s", got)
	}
}

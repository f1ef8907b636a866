package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// largeNodes are the entries of a directory whose tree is read as a stream.
func largeNodes(count int) []treeblob.Node {
	at := time.Date(2026, 11, 21, 8, 12, 0, 123456789, time.UTC)
	nodes := make([]treeblob.Node, count)
	for i := range nodes {
		name := fmt.Sprintf("file-%07d", i)
		nodes[i] = treeblob.Node{
			Name:       name,
			Type:       treeblob.File,
			Mode:       0o644,
			ModTime:    at,
			AccessTime: at,
			ChangeTime: at,
			Size:       uint64(i),
			Content:    []ID{Hash([]byte(name))},
		}
		switch i % 1000 {
		case 1:
			nodes[i].Content = []ID{}
		case 2:
			nodes[i].Content = make([]ID, 5000) // more than fits into memory at once
		case 3:
			nodes[i].Name, nodes[i].Type, nodes[i].Content = name+" \"\xff,]}[{", treeblob.Symlink, nil
			nodes[i].LinkTarget = `"content":["` + strings.Repeat("x", 100)
		case 4:
			nodes[i].ExtendedAttributes = []treeblob.ExtendedAttribute{{Name: "user.x", Value: make([]byte, 100_000)}}
		}
	}
	return nodes
}

// TestLargeTree writes and reads a tree as a stream: the bytes are the same as if it were written whole, and so are the
// entries, forgotten or not. A check reads it too.
func TestLargeTree(t *testing.T) {
	repo, bucket := newRepo(t)
	nodes := largeNodes(20_000)
	var whole treeblob.Encoder
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	streamed := w.NewTree(0)
	for _, node := range nodes {
		if err := errors.Join(whole.Add(node), streamed.Add(node)); err != nil {
			t.Fatal(err)
		}
	}
	if !streamed.Spilled() {
		t.Error("it is in memory as a whole")
	}
	id, err := w.SaveTree(t.Context(), streamed)
	if err = errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	text := whole.Bytes()
	if want := Hash(text); id != want {
		t.Fatalf("the tree is %s, written whole it is %s", id, want)
	}
	if plain, err := repo.LoadBlob(t.Context(), TreeBlob, id); err != nil || !bytes.Equal(plain, text) {
		t.Fatalf("the blob has %d bytes, %v; want %d", len(plain), err, len(text))
	}
	inMemory, err := treeblob.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	want, err := treeblob.All(inMemory.Next, len(text))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := repo.ReadTree(t.Context(), id)
	if err != nil || reader.large == nil {
		t.Fatalf("it is not read as a stream: %v", err)
	}
	var got []treeblob.Node
	for {
		node, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, node); len(got)%5000 != 1 {
			continue
		}
		if reader.Forget(); reader.Size() != 0 {
			t.Errorf("%d bytes are left of what was forgotten", reader.Size())
		}
		if _, err := reader.Next(); err == nil {
			t.Error("it was read although it was forgotten")
		}
		if err := repo.Remember(t.Context(), reader); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-whole +stream):\n%.1000s", diff)
	}
	for _, name := range list(t, bucket, "data/") {
		sealed := get(t, bucket, name)
		put(t, bucket, name, flip(sealed, len(sealed)/3))
		if _, err := repo.ReadTree(t.Context(), id); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a flipped bit: %v", err)
		}
	}
}

// TestLargeTreesThatAreNone reads large trees that are written in other ways, or are no trees.
func TestLargeTreesThatAreNone(t *testing.T) {
	repo, _ := newRepo(t)
	space := strings.Repeat(" ", treeblob.Large)
	const a, b = `{"name":"a","type":"file","content":[ ]}`, `{"type":"file" , "name":"b","content":["` + zeroID + `" , "` + zeroID +
		`"],"later":{"x":[1,"]"]}}`
	for text, want := range map[string]int{
		`{"nodes":[]}` + space:       0,
		space + ` { "nodes" : [ ] }`: 0,
		`{"x":{"nodes":[1,"}"]},"y":-1.5e3,"nodes":[` + a + space + `, ` + b + space + `] , "z" : null}` + "\n": 2,
		space + `{"nodes":[` + a + `,]}`:                    -1,
		space + `{"nodes":[` + a + ` ` + b + `]}`:           -1,
		space + `{"nodes":[` + b + `,` + a + `]}`:           -1,
		space + `{"nodes":[` + a + `]}{}`:                   -1,
		space + `{"nodes":[` + a + `],"nodes":[` + b + `]}`: -1,
		space + `{"nodes":[5]}`:                             -1,
		space + `{"nodes":[` + a:                            -1,
		space + `{"nodes":[{"name":"a","content":[0]}]}`:    -1,
		space + `{"nodes":{}}`:                              -1,
		space + `{"nodes":[{"name":".."}]}`:                 -1,
		space + `[]`:                                        -1,
		space:                                               -1,
	} {
		id := saved(t, repo, TreeBlob, []byte(text))[0]
		nodes, err := repo.LoadTree(t.Context(), id)
		if want >= 0 && (err != nil || len(nodes) != want) || want < 0 && (err == nil || !strings.Contains(err.Error(), id.String())) {
			t.Errorf("%s: %d entries, %v", strings.ReplaceAll(text, space, " … "), len(nodes), err)
		}
	}
}

const zeroID = "0000000000000000000000000000000000000000000000000000000000000000"

// TestLargeTreesTakeNoMemory reads trees that are small as stored, and very large otherwise.
func TestLargeTreesTakeNoMemory(t *testing.T) {
	const size = 128 << 20
	fill := func(begin, part, end string) []byte {
		return joined(begin, bytes.Repeat([]byte(part), size/len(part)), end)
	}
	for what, tt := range map[string]struct {
		plain   []byte
		refused bool
	}{
		"white space":             {fill(`{`, ` `, `"nodes":[]}`), false},
		"an unknown field":        {fill(`{"x":"`, `x`, `","nodes":[]}`), false},
		"the target of a symlink": {fill(`{"nodes":[{"name":"a","linktarget":"`, `x`, `"}]}`), true},
		"white space in an entry": {fill(`{"nodes":[{"name":"a"`, ` `, `}]}`), true},
	} {
		repo, _ := newRepo(t)
		id := saved(t, repo, TreeBlob, tt.plain)[0]
		read := func(ctx context.Context) error {
			reader, err := repo.ReadTree(ctx, id)
			for err == nil {
				_, err = reader.Next()
			}
			if !tt.refused && errors.Is(err, io.EOF) {
				return fmt.Errorf("%s is whole", id)
			}
			if !errors.Is(err, treeblob.ErrNodeText) {
				return errors.New("it was not refused for its size")
			}
			return err
		}
		refused(t, what, id.String(), 64<<20+3*treeblob.MaxNodeText, read)
	}
}

// TestFileOfVeryManyPieces walks through a file that consists of one piece very many times: that takes little memory
// beside the list of pieces.
func TestFileOfVeryManyPieces(t *testing.T) {
	const count = 3_000_000 // their ids alone take 92 MiB
	repo, bucket := newRepo(t)
	piece := saved(t, repo, DataBlob, []byte("x"))[0]
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tree := w.NewTree(0)
	file := treeblob.Node{Name: "large", Type: treeblob.File, Size: count, Content: slices.Repeat([]ID{piece}, count)}
	if err := tree.Add(file); err != nil {
		t.Fatal(err)
	}
	id, err := w.SaveTree(t.Context(), tree)
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &id}); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, bucket)
	for what, use := range map[string]func() error{
		"check": func() error {
			report, err := again.Check(t.Context(), CheckOptions{})
			if err == nil && (len(report.Problems) > 0 || report.Blobs != 1) {
				err = fmt.Errorf("%+v", report)
			}
			return err
		},
		"prune": func() error { _, err := again.Prune(t.Context(), PruneOptions{}); return err },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := use(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 48<<20 {
			t.Errorf("%s: took %d MiB of memory, all that is given back counted", what, took>>20)
		}
	}
	// The walk still finds what is wrong with it: a missing piece, and a size that is not the sum.
	for _, change := range []func(*treeblob.Node){
		func(n *treeblob.Node) { n.Content[len(n.Content)-1] = Hash([]byte("nowhere")) },
		func(n *treeblob.Node) { n.Size-- },
	} {
		wrong := file
		wrong.Content = slices.Clone(file.Content[:100_000])
		wrong.Size = uint64(len(wrong.Content))
		change(&wrong)
		repo, _ := newRepo(t)
		saved(t, repo, DataBlob, []byte("x"))
		id := saved(t, repo, TreeBlob, treeOf(t, []treeblob.Node{wrong}))[0]
		if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &id}); err != nil {
			t.Fatal(err)
		}
		report, err := repo.Check(t.Context(), CheckOptions{})
		if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Reason, `"large"`) {
			t.Errorf("%+v, %v", report, err)
		}
	}
}

func joined(begin string, middle []byte, end string) []byte {
	return append(append([]byte(begin), middle...), end...)
}

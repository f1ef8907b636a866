package treeblob

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// largeNodes are the entries of a directory whose tree is read as a stream.
func largeNodes(count int) []Node {
	at := time.Date(2026, 11, 21, 8, 12, 0, 123456789, time.UTC)
	nodes := make([]Node, count)
	for i := range nodes {
		name := fmt.Sprintf("file-%07d", i)
		nodes[i] = Node{
			Name:       name,
			Type:       File,
			Mode:       0o644,
			ModTime:    at,
			AccessTime: at,
			ChangeTime: at,
			Size:       uint64(i),
			Content:    []format.ID{format.Hash([]byte(name))},
		}
		switch i % 1000 {
		case 1:
			nodes[i].Content = []format.ID{}
		case 2:
			nodes[i].Content = make([]format.ID, 5000) // more than is in memory at once
		case 3:
			nodes[i].Name, nodes[i].Type, nodes[i].Content = name+" \"\xff,]}[{", Symlink, nil
			nodes[i].LinkTarget = `"content":["` + strings.Repeat("x", 100)
		case 4:
			nodes[i].ExtendedAttributes = []ExtendedAttribute{{Name: "user.x", Value: make([]byte, 100_000)}}
		}
	}
	return nodes
}

// TestSpilling writes a large tree with next to nothing of it in memory: its bytes are the same as if it were written
// whole, and a stream of them gives the same entries, even if it is forgotten after each of them.
func TestSpilling(t *testing.T) {
	var whole Encoder
	spilling := NewSpilling(0, compress.Default)
	for i, node := range largeNodes(20_000) {
		if err := errors.Join(whole.Add(node), spilling.Add(node)); err != nil {
			t.Fatal(err)
		}
		if len(spilling.buf) > Large || spilling.Spilled() && len(spilling.buf) >= spillPart {
			t.Fatalf("after %d entries %d bytes are in memory", i+1, len(spilling.buf))
		}
	}
	if !spilling.Spilled() || whole.Spilled() {
		t.Fatalf("spilled: %v, whole: %v", spilling.Spilled(), whole.Spilled())
	}
	want, err := decodeTree(bytes.Clone(whole.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	ended, err := spilling.End()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := compress.NewReader(bytes.NewReader(ended.Text[seal.IVSize:]))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(packed)
	if err != nil || !bytes.Equal(text, whole.Bytes()[:len(text)]) || ended.Size != len(text) || ended.ID != format.Hash(text) {
		t.Fatalf("%d bytes, said to be %d of %s, %v", len(text), ended.Size, ended.ID, err)
	}
	var stream Stream
	next := func() (Node, error) {
		if n := stream.Offset(); n == 0 || n%7 == 0 {
			stream.Forget()
			if _, err := stream.Next(); !errors.Is(err, ErrForgotten) {
				t.Errorf("forgotten, and read: %v", err)
			}
			if err := stream.Open(bytes.NewReader(text[n:])); err != nil {
				t.Fatal(err)
			}
		}
		return stream.Next()
	}
	got, err := All(next, len(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%d entries, want %d; they are not the same, %v", len(got), len(want), err)
	}
}

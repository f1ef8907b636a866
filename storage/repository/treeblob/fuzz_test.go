package treeblob

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// treeOfEverything has an entry of each type, with every field set.
func treeOfEverything(f *testing.F) []byte {
	f.Helper()
	at, id := time.Date(2026, 11, 21, 8, 12, 0, 123456789, time.FixedZone("", 3600)), format.Hash([]byte("x"))
	return treeOf(f, []Node{
		{
			Name:               "a \"<b>\" \n\xff é",
			Type:               File,
			Mode:               0o644 | fs.ModeSetuid,
			ModTime:            at,
			AccessTime:         at,
			ChangeTime:         at,
			UID:                1,
			GID:                2,
			User:               "u",
			Group:              "g",
			Inode:              3,
			DeviceID:           4,
			Size:               5,
			Links:              2,
			ExtendedAttributes: []ExtendedAttribute{{"user.x", []byte{0, 1}}, {"y", nil}},
			Content:            []format.ID{id, id},
		},
		{Name: "b", Type: Dir, Mode: fs.ModeDir | 0o755, ModTime: at, Subtree: &id},
		{Name: "c", Type: Symlink, Mode: fs.ModeSymlink | 0o777, LinkTarget: "x\xff"},
		{Name: "d", Type: CharDevice, Mode: fs.ModeDevice | fs.ModeCharDevice, Device: 259},
		{Name: "e", Type: File, Content: []format.ID{}},
	})
}

func FuzzTree(f *testing.F) {
	for name, node := range nodesOfAllKinds() {
		if node.CheckName() == nil && !strings.HasPrefix(name, "named ") {
			f.Add(treeOf(f, []Node{node}))
		}
	}
	f.Add(treeOfEverything(f))
	f.Add([]byte(`{"nodes":[]}`))
	f.Add([]byte(`{"later":{"nodes":[]},"nodes":[{"name":"..","type":"file","content":[0,0],"extended_attributes":[{}]}],"more":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for i := range data {
			decodesAlike(t, data[i:])
		}
		nodes, err := decodeTree(data)
		if err != nil {
			return
		}
		first := treeOf(t, nodes)
		again, err := decodeTree(first)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", first, err)
		}
		if second := treeOf(t, again); !bytes.Equal(first, second) {
			t.Fatalf("%s was read as %s", first, second)
		}
		for _, node := range nodes {
			if err := node.CheckName(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// decodesAlike compares our decoder of nodes with package json.
func decodesAlike(t testing.TB, data []byte) (length int) {
	t.Helper()
	var got, want Node
	length = decodeNode(data, &got)
	if length == 0 {
		return 0
	}
	if err := json.Unmarshal(data[:length], &want); err != nil {
		t.Fatalf("%s is no node: %v", data[:length], err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s was read as %+v instead of %+v", data[:length], got, want)
	}
	return length
}

func treeOf(t testing.TB, nodes []Node) []byte {
	t.Helper()
	var tree Encoder
	for _, node := range nodes {
		if err := tree.Add(node); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	}
	return tree.Bytes()
}

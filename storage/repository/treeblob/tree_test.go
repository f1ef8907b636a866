package treeblob

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// TestTreeBytes compares the JSON of trees with the format, byte for byte: their hashes depend on it.
func TestTreeBytes(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 12, 0, 123456789, time.UTC)
	subtree, content := format.Hash([]byte("tree")), format.Hash([]byte("data"))
	nodes := []Node{
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
			ExtendedAttributes: []ExtendedAttribute{{"user.x", []byte{0, 1}}},
			Content:            []format.ID{content},
		},
		{Name: "b", Type: Dir, Mode: fs.ModeDir | 0o755, ModTime: at, AccessTime: at, ChangeTime: at, Subtree: &subtree},
		{Name: "c", Type: Symlink, Mode: fs.ModeSymlink | 0o777, LinkTarget: "x\xff",
			ModTime: time.Date(12345, 1, 2, 3, 4, 5, 6, time.UTC), AccessTime: time.Date(-5, 1, 2, 3, 4, 5, 6, time.UTC), ChangeTime: at},
		{Name: "d", Type: CharDevice, Mode: fs.ModeDevice | fs.ModeCharDevice, ModTime: at, AccessTime: at, ChangeTime: at, Device: 259},
		{Name: "e", Type: File, ModTime: at, AccessTime: at, ChangeTime: at, Content: []format.ID{}},
	}
	stamp := `"2026-11-21T08:12:00.123456789Z"`
	times := `"mtime":` + stamp + `,"atime":` + stamp + `,"ctime":` + stamp
	want := `{"nodes":[` +
		`{"name":"a \\\"\u003cb\u003e\\\" \\n\\xff é","type":"file","mode":8389028,` + times +
		`,"uid":1,"gid":2,"user":"u","group":"g","inode":3,"device_id":4,"size":5,"links":2,"extended_attributes":[{"name":"user.x",` +
		`"value":"AAE="}],"content":["` + content.String() + `"]},` +
		`{"name":"b","type":"dir","mode":2147484141,` + times + `,"uid":0,"gid":0,"content":null,"subtree":"` + subtree.String() + `"},` +
		`{"name":"c","type":"symlink","mode":134218239,"mtime":"9999-01-02T03:04:05.000000006Z","atime":"0000-01-02T03:04:05.000000006Z",` +
		`"ctime":` + stamp + `,"uid":0,"gid":0,"linktarget":"x\ufffd","linktarget_raw":"eP8=","content":null},` +
		`{"name":"d","type":"chardev","mode":69206016,` + times + `,"uid":0,"gid":0,"device":259,"content":null},` +
		`{"name":"e","type":"file",` + times + `,"uid":0,"gid":0,"content":[]}` +
		"]}\n"
	var tree Encoder
	for _, node := range nodes {
		if err := tree.Add(node); err != nil {
			t.Fatal(err)
		}
	}
	got := tree.Bytes()
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	decoded, err := decodeTree(got)
	if err != nil {
		t.Fatal(err)
	}
	nodes[2].ModTime, nodes[2].AccessTime = clampYear(nodes[2].ModTime), clampYear(nodes[2].AccessTime)
	if diff := cmp.Diff(nodes, decoded); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if got := string(new(Encoder).Bytes()); got != `{"nodes":[]}`+"\n" {
		t.Errorf("empty tree: %s", got)
	}
}

// TestCutTree reads every beginning of a tree: it takes none of them for the whole tree.
func TestCutTree(t *testing.T) {
	whole := `{"later":[1,{"x":2}],"nodes":[{"name":"a","type":"file","content":[]},{"name":"b","type":"fifo","content":null}],"more":{"y":3}}`
	if nodes, err := decodeTree([]byte(whole)); err != nil || len(nodes) != 2 {
		t.Fatalf("%v, %v", nodes, err)
	}
	for i := range whole {
		if nodes, err := decodeTree([]byte(whole[:i])); err == nil {
			t.Errorf("%s was read as %v", whole[:i], nodes)
		}
	}
}

func TestHostileTrees(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/etc", "../x", "nul\x00"} {
		quoted, err := json.Marshal(quoteName(name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = decodeTree([]byte(`{"nodes":[{"name":` + string(quoted) + `,"type":"file"}]}`))
		if !errors.Is(err, ErrNodeName) {
			t.Errorf("name %q: %v, want ErrNodeName", name, err)
		}
		if err := new(Encoder).Add(Node{Name: name}); !errors.Is(err, ErrNodeName) {
			t.Errorf("add name %q: %v, want ErrNodeName", name, err)
		}
	}
	for _, text := range []string{
		`{"nodes":[{"name":"b"},{"name":"a"}]}`, `{"nodes":[{"name":"a"},{"name":"a"}]}`,
		`{"nodes":[{"name":"\\x"}]}`, `{"nodes":[{"name":"a\""}]}`, `{"nodes":`, `[]`,
		`{"nodes":[{"name":"a","content":["short"]}]}`, `{"nodes":[{"name":"a","subtree":"` + strings.Repeat("G", 64) + `"}]}`,
		`{"nodes":[{"name":"a","size":-1}]}`,
	} {
		if nodes, err := decodeTree([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, nodes)
		}
	}
}

// TestFullTree adds entries for which there is no more room: the tree is as if nobody had tried.
func TestFullTree(t *testing.T) {
	t.Parallel()
	small, large := Node{Name: "b", Type: File}, Node{Name: "a", Type: File, Content: make([]format.ID, 100)}
	var whole Encoder
	if err := whole.Add(small); err != nil {
		t.Fatal(err)
	}
	want := string(whole.Bytes())
	for limit, fits := range map[int]bool{len(want): true, len(want) - 1: false} {
		tree := Encoder{Limit: limit}
		if err := tree.Add(large); !errors.Is(err, ErrFull) {
			t.Errorf("%v, want ErrFull", err)
		}
		if err := tree.Add(small); errors.Is(err, ErrFull) == fits {
			t.Errorf("%d bytes have room for %d: %v", limit, len(want), err)
		}
		after := small
		after.Name = "c"
		if err := tree.Add(after); !errors.Is(err, ErrFull) {
			t.Errorf("%v, want ErrFull", err)
		}
		if got := string(tree.Bytes()); fits && got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// decodeTree reads all entries of a tree.
func decodeTree(data []byte) ([]Node, error) {
	reader, err := Open(data)
	if err != nil {
		return nil, err
	}
	return All(reader.Next, len(data))
}

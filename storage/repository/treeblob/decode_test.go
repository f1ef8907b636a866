package treeblob

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// TestNodesAreDecodedAsByPackageJSON also shows that our decoder leaves no frequent kind of node to package json.
func TestNodesAreDecodedAsByPackageJSON(t *testing.T) {
	left := map[string]bool{
		"attributes": true, "a symlink": true,
		"named x\\\"y": true, "named x\\\\y": true, "named x<y": true, "named x>y": true, "named x&y": true, // escaped by package json
	}
	for name, node := range nodesOfAllKinds() {
		data, err := json.Marshal(node)
		if err != nil {
			t.Fatal(err)
		}
		length := decodesAlike(t, append(data, `,{"name":`...))
		escaped := left[name] || strings.HasPrefix(name, `named x\`)
		if length != 0 && length != len(data) || length == 0 && !escaped {
			t.Errorf("%s: decoded %d bytes of %s", name, length, data)
		}
		for i := range data {
			if decodeNode(data[:i], new(Node)) != 0 {
				t.Fatalf("%s: decoded from %s", name, data[:i])
			}
			for _, c := range []byte(`0"x,]}` + "\xff") {
				changed := append([]byte(nil), data...)
				changed[i] = c
				decodesAlike(t, changed)
			}
		}
	}
}

// TestNodesOfResticAreDecoded: the nodes that restic writes are ordinary too. These are from restic 0.14.
func TestNodesOfResticAreDecoded(t *testing.T) {
	for _, node := range []string{
		`{"name":"file","type":"file","mode":420,"mtime":"2026-11-21T21:43:10.404034679Z","atime":"2026-11-21T21:43:10.404034679Z",` +
			`"ctime":"2026-11-21T21:43:10.404034679Z","uid":0,"gid":0,"user":"root","group":"root","inode":11191395,"device_id":65024,"size":3,` +
			`"links":1,"content":["98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"]}`,
		`{"name":"link","type":"symlink","mode":134218239,"mtime":"2026-11-21T21:43:10.408034679Z","atime":"2026-11-21T21:43:10.408034679Z",` +
			`"ctime":"2026-11-21T21:43:10.408034679Z","uid":0,"gid":0,"user":"root","group":"root","inode":11191396,"device_id":65024,` +
			`"links":1,"linktarget":"file","content":null}`,
		`{"name":"sub","type":"dir","mode":2147484141,"mtime":"2026-11-21T21:43:10.408034679Z","atime":"2026-11-21T21:43:10.408034679Z",` +
			`"ctime":"2026-11-21T21:43:10.408034679Z","uid":0,"gid":0,"user":"root","group":"root","inode":11191397,"device_id":65024,` +
			`"content":null,"subtree":"ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8"}`,
	} {
		if length := decodesAlike(t, []byte(node)); length != len(node) {
			t.Errorf("decoded %d bytes of %s", length, node)
		}
	}
}

// TestNodesThatAreWrittenOtherwise: our decoder leaves them to package json, or both refuse them.
func TestNodesThatAreWrittenOtherwise(t *testing.T) {
	data, err := json.Marshal(Node{Name: "a", Type: File, UID: 7, Size: 9, ModTime: time.Unix(0, 0).UTC(), Content: []format.ID{{}, {1}}})
	if err != nil {
		t.Fatal(err)
	}
	if decodeNode(data, new(Node)) != len(data) {
		t.Fatalf("%s is not ordinary", data)
	}
	for _, change := range [][2]string{
		{`"uid":7`, `"uid":4294967296`}, {`"uid":7`, `"uid":07`}, {`"uid":7`, `"uid":-7`}, {`"uid":7`, `"uid":7.0`}, {`"uid":7`, `"uid":`},
		{`"uid":7`, `"uid": 7`}, {`"size":9`, `"size":18446744073709551616`}, {`"size":9`, `"size":99999999999999999999`},
		{`"size":9`, `"size":0,"later":1`},
		{`"name"`, `"Name"`}, {`"a"`, `"\u0061"`}, {`"a"`, "\"\xc3\""}, {`"a"`, "\"a\n\""}, {`1970-`, `1970`}, {`Z"`, `"`}, {`01T00`, `01T24`},
		{`01T00`, `1T00`},
		{`[`, `[ `}, {`]`, `,]`}, {`","`, `""`}, {`","`, `",,"`}, {`[`, `["",`}, {`"content":[`, `"content":{`}, {`{"name"`, ` {"name"`},
		{`}`, ` }`}, {`}`, `]`},
	} {
		changed := strings.Replace(string(data), change[0], change[1], 1)
		if changed == string(data) {
			t.Fatalf("%s has no %s", data, change[0])
		}
		if length := decodeNode([]byte(changed), new(Node)); length != 0 {
			t.Errorf("%s was decoded", changed)
		}
	}
	if n := decodesAlike(t, []byte(strings.Replace(string(data), `"size":9`, `"size":18446744073709551615`, 1))); n == 0 {
		t.Error("the largest number is not decoded")
	}
}

// TestMixedTree alternates entries written like ours with others.
func TestMixedTree(t *testing.T) {
	var data []byte
	for i := range 64 {
		text := `{"name":"%02d","type":"file","mode":420,"mtime":"2026-11-21T08:12:00Z","atime":"2026-11-21T08:12:00Z",` +
			`"ctime":"2026-11-21T08:12:00Z","uid":0,"gid":0,"size":%d,"content":[]}`
		if i&(i>>2)&1 == 1 || i > 40 && i < 50 {
			text = ` { "type":"file" , "name":"%02d","later":{"nodes":[1,"]"]},"size":%d}`
		}
		data = append(fmt.Appendf(data, text, i, i), ", \n"...)
	}
	data = fmt.Appendf([]byte(`{"before":[{}],"nodes":[`), `%s],"after":{"nodes":[]}}`, strings.TrimRight(string(data), ", \n"))
	var want struct{ Nodes []Node }
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	got, err := decodeTree(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 64 || !reflect.DeepEqual(got, want.Nodes) {
		t.Errorf("%d entries: %+v, want %+v", len(got), got, want.Nodes)
	}
	for _, cut := range []string{`},`, `,`} {
		broken := strings.Replace(string(data), cut, strings.TrimRight(cut, ","), 3)
		if nodes, err := decodeTree([]byte(broken)); err == nil {
			t.Errorf("%d entries were read from what is no JSON: %s", len(nodes), broken)
		}
	}
}

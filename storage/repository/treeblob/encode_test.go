package treeblob

import (
	"encoding/json"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// nodesOfAllKinds are nodes that differ from an ordinary one in one field each.
func nodesOfAllKinds() map[string]Node {
	at := time.Date(2026, 11, 21, 8, 12, 0, 120000000, time.UTC)
	id := format.Hash([]byte("x"))
	nodes := map[string]Node{}
	for name, change := range map[string]func(*Node){
		"ordinary": func(*Node) {}, "no mode": func(n *Node) { n.Mode = 0 },
		"a directory": func(n *Node) { n.Type, n.Mode, n.Content, n.Subtree = Dir, fs.ModeDir|0o755, nil, &id },
		"empty":       func(n *Node) { n.Size, n.Content = 0, []format.ID{} }, "in pieces": func(n *Node) { n.Content = []format.ID{id, {}, id} },
		"no times":      func(n *Node) { n.ModTime, n.AccessTime, n.ChangeTime = time.Time{}, time.Time{}, time.Time{} },
		"whole seconds": func(n *Node) { n.ModTime = at.Truncate(time.Second) }, "before 1970": func(n *Node) {
			n.ChangeTime = time.Unix(-1, 1).UTC()
		},
		"another zone":  func(n *Node) { n.AccessTime = at.In(time.FixedZone("", 3600)) },
		"another UTC":   func(n *Node) { n.AccessTime = at.In(time.FixedZone("UTC", 0)) },
		"the last year": func(n *Node) { n.ModTime = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC) },
		"a later year":  func(n *Node) { n.ModTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a year before": func(n *Node) { n.ModTime = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a device":      func(n *Node) { n.Type, n.Device, n.Content = Device, 259, nil },
		"a user":        func(n *Node) { n.User, n.Group = "u", "g" }, "no names": func(n *Node) { n.Name, n.Type = "", "" },
		"ids and links": func(n *Node) { n.UID, n.GID, n.Inode, n.DeviceID, n.Links = 1<<32-1, 7, 1<<64-1, 5, 2 },
		"a symlink":     func(n *Node) { n.Type, n.LinkTarget = Symlink, "a<b\xff" },
		"attributes":    func(n *Node) { n.ExtendedAttributes = []ExtendedAttribute{{"user.x", nil}, {"user.y", []byte{}}} },
		"no attributes": func(n *Node) { n.ExtendedAttributes = []ExtendedAttribute{} },
	} {
		node := Node{Name: "a name.txt", Type: File, Mode: 0o644, ModTime: at, AccessTime: at, ChangeTime: at, Size: 1, Content: []format.ID{id}}
		change(&node)
		nodes[name] = node
	}
	for c := range 256 {
		node := nodes["ordinary"]
		node.Name = "x" + string([]byte{byte(c)}) + "y"
		nodes["named "+quoteName(node.Name)] = node
	}
	return nodes
}

// TestNodesAreEncodedAsByPackageJSON compares byte for byte: the hashes of trees depend on it.
func TestNodesAreEncodedAsByPackageJSON(t *testing.T) {
	for name, node := range nodesOfAllKinds() {
		quoted := nodeJSON(node)
		quoted.Name = quoteName(node.Name)
		for _, n := range []nodeJSON{quoted, nodeJSON(node)} {
			want, wantErr := json.Marshal(n)
			got, err := appendNode([]byte("before "), &n)
			if wantErr != nil {
				if err == nil {
					t.Errorf("%s: %s, want an error: %v", name, got, wantErr)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff("before "+string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

package archive

import (
	"fmt"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestPendingNodes has a directory of very many entries, one of which stays incomplete for some time. Only the entries
// behind that one are kept outside the tree, and the tree has all of them in order.
func TestPendingNodes(t *testing.T) {
	t.Parallel()
	const entries = 20 * nodesKept
	saved := &blobs{plain: map[repository.ID][]byte{}}
	w := newWalker(saved)
	top := newPendingDir(nil, &treeblob.Node{})
	top.to = w.saver
	var late *pendingFile
	var want treeblob.Encoder
	for i := range entries {
		node := &treeblob.Node{Name: fmt.Sprintf("%09d", i), Type: treeblob.File, Content: []repository.ID{}}
		if err := want.Add(*node); err != nil {
			t.Fatal(err)
		}
		top.add(node)
		switch i {
		case 7 * nodesKept:
			node.Content, late = nil, newPendingFile(top, node)
		case 9 * nodesKept:
			if err := late.done(t.Context(), w.saver); err != nil {
				t.Fatal(err)
			}
		}
		if most := nodesKept + 2*nodesKept; len(top.nodes) > most {
			t.Fatalf("%d nodes are kept", len(top.nodes))
		}
	}
	if len(top.nodes) > nodesKept {
		t.Errorf("%d nodes are kept at the end", len(top.nodes))
	}
	if err := top.done(t.Context(), w.saver); err != nil {
		t.Fatal(err)
	}
	if id := repository.Hash(want.Bytes()); *top.node.Subtree != id {
		t.Errorf("the tree is %s, want %s", top.node.Subtree, id)
	}
}

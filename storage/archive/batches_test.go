package archive_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// TestRestoreOfManyBatches restores more blobs than are planned at once. Blobs that lie in a pack in the order in which
// they are needed are read once, although several batches need the pack. Only a blob that another batch needs too is
// read again.
func TestRestoreOfManyBatches(t *testing.T) {
	t.Parallel()
	const blobs = 10_000 // in three batches
	for what, test := range map[string]struct {
		again int // blobs of the first batch that are needed again at the end
		twice bool
	}{"every blob once": {0, false}, "some blobs again": {10, true}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newForger(t)
			node := treeblob.Node{Name: "x", Type: treeblob.File}
			for i := range blobs + test.again {
				if i >= blobs {
					node.Content = append(node.Content, node.Content[i-blobs])
					continue
				}
				text := filler(100, 1)
				binary.BigEndian.PutUint64(text, uint64(i))
				node.Content = append(node.Content, f.data(string(text)))
			}
			node.Size = uint64(100 * len(node.Content))
			root := f.tree(dirNode(claim, f.tree(node)))
			if err := f.writer.Flush(); err != nil {
				t.Fatal(err)
			}
			packs, sealed := map[string]bool{}, int64(0)
			for _, id := range node.Content {
				at := must(f.bed.repo.Locate(repository.DataBlob, id))(t)
				packs[filepath.Join("data", at.Pack.String()[:2], at.Pack.String())] = true
				sealed += int64(at.Length)
			}
			bucket := &metered{Bucket: f.bucket, packs: packs, want: 1, reached: make(chan struct{})}
			repo := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
			target := archive.Target{Snapshot: repository.Snapshot{Tree: root}, Name: claim, Dir: t.TempDir()}
			result, err := archive.Restore(t.Context(), repo, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if again := bucket.twice(); (again != "") != test.twice {
				t.Errorf("read twice: %q", again)
			}
			if len(bucket.spans) < 3 || result.BytesRead != sealed {
				t.Errorf("%d reads of %d bytes, want three or more of %d", len(bucket.spans), result.BytesRead, sealed)
			}
		})
	}
}

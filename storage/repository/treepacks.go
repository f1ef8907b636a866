package repository

import (
	"bytes"
	"context"
	"sync"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

const (
	// treePacksKept is how many packs of trees are kept: directories lie beside their parents, so a walk through a
	// repository snapshot seldom needs more than the last one or two.
	treePacksKept = 2
	// treePackLimit bounds a pack that is read whole for one tree, in bytes.
	treePackLimit = treePackSize + treePackSize/4
)

// treePacks keeps the packs of trees that were read last, as they are stored. A repository snapshot has a tree for each
// directory, and one request per tree would take longer than reading all of a pack's trees at once.
type treePacks struct {
	mu   sync.Mutex
	kept []treePack // the last one used is first
}

type treePack struct {
	id   ID
	data []byte
}

// loadTreeBlob reads the blob of a tree that is not large.
func (r *Repository) loadTreeBlob(ctx context.Context, at packfile.Location, id ID) ([]byte, error) {
	if at.PackEnd > treePackLimit {
		return r.LoadBlob(ctx, TreeBlob, id)
	}
	pack, err := r.trees.get(ctx, r, at)
	if err != nil {
		return r.loadCopy(ctx, blobRef{TreeBlob, id}, at, err)
	}
	// Opening decrypts in place, and the pack may be needed again.
	plain, err := r.OpenBlob(at, id, bytes.Clone(pack[at.Offset:at.Offset+at.Length]), nil)
	if err != nil {
		return r.LoadBlob(ctx, TreeBlob, id)
	}
	return plain, nil
}

// get returns the blobs of the pack that a location is in.
func (t *treePacks) get(ctx context.Context, r *Repository, at packfile.Location) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, pack := range t.kept {
		if pack.id == at.Pack && len(pack.data) == int(at.PackEnd) {
			copy(t.kept[1:i+1], t.kept[:i])
			t.kept[0] = pack
			return pack.data, nil
		}
	}
	data, err := r.ReadPack(ctx, at.Pack, 0, nil, int(at.PackEnd))
	if err != nil {
		return nil, err
	}
	t.kept = append([]treePack{{id: at.Pack, data: data}}, t.kept[:min(len(t.kept), treePacksKept-1)]...)
	return data, nil
}

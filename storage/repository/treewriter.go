package repository

import (
	"context"
	"fmt"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// NewTree makes an encoder for a tree that SaveTree will store, with a limit as treeblob.Encoder has it. The encoder
// takes little memory, however large the tree becomes.
func (w *Writer) NewTree(limit int) *treeblob.Encoder {
	level := w.repo.options.Compression
	if level == compress.Off {
		level = compress.Default
	}
	return treeblob.NewSpilling(limit, level)
}

// SaveTree is SaveBlob for a tree. Nobody may use the tree after that.
func (w *Writer) SaveTree(ctx context.Context, tree *treeblob.Encoder) (ID, error) {
	if !tree.Spilled() {
		return w.SaveBlob(ctx, TreeBlob, tree.Bytes())
	}
	id, err := w.saveSpilled(ctx, tree)
	if err != nil {
		w.uploads.Go(func() error { return err }) // as SaveBlob does
	}
	return id, err
}

// saveSpilled stores a large tree in a pack of its own.
func (w *Writer) saveSpilled(ctx context.Context, encoder *treeblob.Encoder) (ID, error) {
	tree, err := encoder.End()
	if err != nil {
		return ID{}, err
	}
	if !w.claim(TreeBlob, tree.ID) {
		return tree.ID, nil
	}
	blob := packfile.Blob{ID: tree.ID, Type: TreeBlob, UncompressedLength: uint32(tree.Size)}
	data, pack, err := packfile.OfOne(blob, tree.Text, w.repo.sealer)
	if err != nil {
		return ID{}, err
	}
	name := kindData.name(pack.ID)
	if err := w.repo.bucket.Put(storage.WithSum(ctx, pack.ID), name, data); err != nil {
		return ID{}, fmt.Errorf("write %s: %w", name, err)
	}
	w.stored.Add(int64(len(data)))
	w.count(TreeBlob, tree.Size, int(pack.Blobs[0].Length))
	return tree.ID, w.record(pack, int64(len(data)))
}

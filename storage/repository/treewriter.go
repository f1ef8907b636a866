package repository

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/klauspost/compress/zstd"

	"github.com/stsbackup/stsbackup/storage"
)

// largeTreePart is how much of a large tree is compressed at once, in bytes.
const largeTreePart = 256 << 10

// treeSpill is where the bytes of a large tree go while it grows: into a pack of its own. All that is in memory of it is what
// will be stored.
type treeSpill struct {
	pack    growing // room for the IV, and the compressed bytes
	encoder *zstd.Encoder
	hash    hash.Hash
	size    int
}

// growing is what is written to it.
type growing []byte

func (g *growing) Write(p []byte) (int, error) {
	*g = append(*g, p...)
	return len(p), nil
}

// NewTree makes an encoder of a tree that SaveTree stores, of a limit as TreeEncoder has it. However large the tree becomes, it
// takes little memory.
func (w *Writer) NewTree(limit int) *TreeEncoder {
	level := w.repo.options.Compression
	if level == CompressionOff {
		level = CompressionDefault
	}
	return &TreeEncoder{Limit: limit, spilling: true, level: level}
}

// SaveTree is SaveBlob for a tree, which is of no use after that.
func (w *Writer) SaveTree(ctx context.Context, tree *TreeEncoder) (ID, error) {
	if tree.spill == nil {
		return w.SaveBlob(ctx, TreeBlob, tree.Bytes())
	}
	id, err := w.saveSpilled(ctx, tree)
	if err != nil {
		w.uploads.Go(func() error { return err }) // as SaveBlob does
	}
	return id, err
}

func (w *Writer) saveSpilled(ctx context.Context, tree *TreeEncoder) (ID, error) {
	tree.Bytes()
	if err := tree.spillOver(); err != nil {
		return ID{}, err
	}
	s := tree.spill
	if err := s.encoder.Close(); err != nil {
		return ID{}, fmt.Errorf("compress a directory: %w", err)
	}
	id := ID(s.hash.Sum(nil))
	if !w.claim(TreeBlob, id) {
		return id, nil
	}
	buf, err := w.repo.sealer.sealTail(s.pack, 0)
	if err != nil {
		return ID{}, err
	}
	blob := indexBlob{ID: id, Type: TreeBlob, Length: uint32(len(buf)), UncompressedLength: uint32(s.size)}
	p := &packer{blobType: TreeBlob, sealer: w.repo.sealer, buf: buf, blobs: []indexBlob{blob}}
	data, pack, err := p.finish()
	if err != nil {
		return ID{}, err
	}
	name := kindData.name(pack.ID)
	if err := w.repo.bucket.Put(storage.WithSum(ctx, pack.ID), name, data); err != nil {
		return ID{}, fmt.Errorf("write %s: %w", name, err)
	}
	w.stored.Add(int64(len(data)))
	w.count(TreeBlob, s.size, int(blob.Length))
	return id, w.record(pack, int64(len(data)))
}

// spillOver compresses what has been collected of a large tree.
func (e *TreeEncoder) spillOver() error {
	if e.spill == nil {
		s := &treeSpill{pack: make(growing, ivSize, sealedPart), hash: sha256.New()}
		encoder, err := newEncoder(e.level.level(), zstd.WithAllLitEntropyCompression(true))
		if err != nil {
			return err
		}
		encoder.Reset(&s.pack)
		s.encoder, e.spill = encoder, s
	}
	_, _ = e.spill.hash.Write(e.buf) // never fails
	if _, err := e.spill.encoder.Write(e.buf); err != nil {
		return fmt.Errorf("compress a directory: %w", err)
	}
	e.spill.size += len(e.buf)
	e.buf = e.buf[:0]
	return nil
}

// spillIfLarge does so if there is enough of it.
func (e *TreeEncoder) spillIfLarge() error {
	if !e.spilling || len(e.buf) <= streamedTree && (e.spill == nil || len(e.buf) < largeTreePart) {
		return nil
	}
	return e.spillOver()
}

// size is how large the tree is so far.
func (e *TreeEncoder) size() int {
	if e.spill == nil {
		return len(e.buf)
	}
	return e.spill.size + len(e.buf)
}

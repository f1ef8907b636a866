package repository

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
)

// BlobType says what a blob holds. The values are those of the format's JSON.
type BlobType string

// The types of blobs.
const (
	DataBlob BlobType = "data" // a piece of a file
	TreeBlob BlobType = "tree" // the entries of a directory
)

// Limits on what an index may claim about a blob.
const (
	// maxBlobSize bounds the plain length of a blob: a tree of a million entries can be some hundred MiB.
	maxBlobSize = 1 << 30
	// maxDataBlobSize is the same for pieces of files, which are at most 8 MiB.
	maxDataBlobSize = 64 << 20
	// maxPackSize bounds a pack: restic allows 128 MiB and one blob more.
	maxPackSize = 2 << 30
)

// Location says where a blob lies.
type Location struct {
	// Pack is the pack's id.
	Pack ID
	// Offset and Length give the sealed blob within the pack, in bytes.
	Offset, Length uint32
	// PlainLength is the length of the blob itself, in bytes.
	PlainLength uint32
	// Compressed says whether the sealed bytes are zstd-compressed.
	Compressed bool

	packEnd uint32 // where the pack's last blob ends
}

// place is a Location as the index keeps it. The pack is a number, which makes it a third as large: there is one of
// these in memory for every blob of the repository.
type place struct {
	pack, offset, length uint32
	plain                uint32 // zero if not compressed
}

// packExtent is what the index knows about a pack as a whole.
type packExtent struct {
	id  ID
	end uint32 // of the last blob
}

// index knows where all blobs are.
type index struct {
	// objects are the index objects that it was read from, in their order; nil if it holds anything else.
	objects []ID

	mu         sync.RWMutex
	packs      *packTable
	data, tree *blobTable

	copies copies
	moved  moved
}

func newIndex() *index {
	return &index{packs: newPackTable(), data: newBlobTable(), tree: newBlobTable()}
}

// of returns the table of a type's blobs.
func (x *index) of(t BlobType) *blobTable {
	if t == TreeBlob {
		return x.tree
	}
	return x.data
}

func (x *index) find(t BlobType, id ID) (Location, bool, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if at, ok := x.moved.find(blobRef{t, id}); ok {
		return at, true, nil
	}
	p, ok, err := x.of(t).find(id)
	if !ok {
		return Location{}, false, err
	}
	pack, err := x.packs.get(int(p.pack))
	if err != nil {
		return Location{}, false, err
	}
	at := Location{Pack: pack.id, packEnd: pack.end, Offset: p.offset, Length: p.length, PlainLength: p.plain, Compressed: p.plain != 0}
	if !at.Compressed {
		at.PlainLength = p.length - sealedOverhead
	}
	return at, true, nil
}

// add takes over the blobs of a pack. Of a blob that is known already either copy may be found: it is as good.
func (x *index) add(pack indexPack) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.objects = nil
	number := uint32(x.packs.add(packExtent{id: pack.ID, end: pack.end()}))
	for _, b := range pack.Blobs {
		at := place{pack: number, offset: b.Offset, length: b.Length, plain: b.UncompressedLength}
		x.of(b.Type).add(b.ID, at)
	}
}

// indexObject is the JSON of an index object.
type indexObject struct {
	Supersedes []ID        `json:"supersedes,omitempty"`
	Packs      []indexPack `json:"packs"`
}

type indexPack struct {
	ID    ID          `json:"id"`
	Blobs []indexBlob `json:"blobs"`
}

// kept is a copy that takes no more memory than it must, for who keeps all of them: package json leaves room at the end of
// a list, and makes a string of its own for every type.
func (p indexPack) kept() indexPack {
	blobs := make([]indexBlob, len(p.Blobs))
	for i, blob := range p.Blobs {
		if blob.Type = DataBlob; p.Blobs[i].Type == TreeBlob {
			blob.Type = TreeBlob
		}
		blobs[i] = blob
	}
	return indexPack{ID: p.ID, Blobs: blobs}
}

type indexBlob struct {
	ID                 ID       `json:"id"`
	Type               BlobType `json:"type"`
	Offset             uint32   `json:"offset"`
	Length             uint32   `json:"length"`
	UncompressedLength uint32   `json:"uncompressed_length,omitempty"`
}

func (b indexBlob) check() error {
	switch {
	case b.Type != DataBlob && b.Type != TreeBlob:
		return fmt.Errorf("blob %s has the unknown type %.16q", b.ID.Short(), string(b.Type))
	case b.Length <= sealedOverhead && (b.Length < sealedOverhead || b.UncompressedLength != 0):
		return fmt.Errorf("blob %s has the impossible length %d", b.ID.Short(), b.Length)
	case b.Type == DataBlob && max(b.Length, b.UncompressedLength) > maxDataBlobSize,
		b.Length > maxBlobSize || b.UncompressedLength > maxBlobSize || uint64(b.Offset)+uint64(b.Length) > maxPackSize:
		return fmt.Errorf("blob %s is larger, or lies further inside its pack, than is allowed", b.ID.Short())
	}
	return nil
}

// LoadIndex reads all index objects. Call it after the repository snapshots have been listed, or after locking: an
// index that is younger than they are knows all that they need. Nothing is read if the index objects are those of the last
// time: two indexes would take twice the memory.
func (r *Repository) LoadIndex(ctx context.Context) error {
	ids, err := listIDs(storage.WithDoubt(ctx, true), r.bucket, kindIndex)
	if err != nil {
		return fmt.Errorf("load the index: list index: %w", err)
	}
	if r.index.isOf(ids) {
		return nil
	}
	fresh := newIndex()
	err = r.eachPackOf(ctx, ids, fresh.add)
	if err != nil {
		fresh.close()
		return fmt.Errorf("load the index: %w", err)
	}
	fresh.objects = ids
	r.index.replace(fresh)
	return nil
}

// eachPackOf reads these index objects, several at once, and hands their packs to fn, one at a time and in no order. An index object may
// name very many packs: they are never in memory all at once. The first one that cannot be read ends it all.
func (r *Repository) eachPackOf(ctx context.Context, ids []ID, fn func(indexPack)) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, id := range ids {
		group.Go(func() error {
			plain, err := r.openObject(ctx, kindIndex, id)
			// One is decoded at a time: that takes several times its size in memory.
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			if err := r.decodeIndexPacks(plain, fn); err != nil {
				return fmt.Errorf("decode %s: %w", kindIndex.name(id), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// decodeIndexPacks hands the packs of an index object to fn. One that is not written in the ordinary way may be handed to it twice.
func (r *Repository) decodeIndexPacks(plain []byte, fn func(indexPack)) error {
	plain, err := r.unpackObject(kindIndex, plain)
	if err != nil {
		return err
	}
	use := func(pack indexPack) error {
		if err := pack.check(); err != nil {
			return fmt.Errorf("pack %s: %w", pack.ID.Short(), err)
		}
		fn(pack)
		return nil
	}
	ordinary, err := eachOrdinaryPack(plain, use)
	if ordinary || err != nil {
		return err
	}
	var object indexObject
	if err := json.Unmarshal(plain, &object); err != nil {
		return err
	}
	for _, pack := range object.Packs {
		if err := use(pack); err != nil {
			return err
		}
	}
	return nil
}

// isOf reports whether the index holds what these index objects hold, and nothing else.
func (x *index) isOf(objects []ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(objects) > 0 && slices.Equal(x.objects, objects)
}

// eachIndex reads all index objects, several at once, and hands each of them to fn, one at a time and in no order. One
// that cannot be read comes with the error, which names it; the first error that fn returns ends it all.
func (r *Repository) eachIndex(ctx context.Context, fn func(ID, indexObject, error) error) error {
	ids, err := listIDs(storage.WithDoubt(ctx, true), r.bucket, kindIndex)
	if err != nil {
		return fmt.Errorf("list index: %w", err)
	}
	return r.eachIndexOf(ctx, ids, fn)
}

// eachIndexOf is eachIndex for these index objects.
func (r *Repository) eachIndexOf(ctx context.Context, ids []ID, fn func(ID, indexObject, error) error) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, id := range ids {
		group.Go(func() error {
			plain, err := r.openObject(ctx, kindIndex, id)
			// One is decoded at a time: that takes several times its size in memory.
			mu.Lock()
			defer mu.Unlock()
			var object indexObject
			if err == nil {
				object, err = r.decodeIndex(id, plain)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fn(id, object, err)
		})
	}
	return group.Wait()
}

func (r *Repository) decodeIndex(id ID, plain []byte) (indexObject, error) {
	var object indexObject
	if err := r.decodeObject(kindIndex, plain, &object); err != nil {
		return indexObject{}, fmt.Errorf("decode %s: %w", kindIndex.name(id), err)
	}
	if err := object.check(); err != nil {
		return indexObject{}, fmt.Errorf("%s: %w", kindIndex.name(id), err)
	}
	return object, nil
}

// check reports what no index object may say.
func (x indexObject) check() error {
	for _, pack := range x.Packs {
		if err := pack.check(); err != nil {
			return fmt.Errorf("pack %s: %w", pack.ID.Short(), err)
		}
	}
	return nil
}

func (p indexPack) check() error {
	for _, blob := range p.Blobs {
		if err := blob.check(); err != nil {
			return err
		}
	}
	byOffset := func(a, b indexBlob) int { return cmp.Compare(a.Offset, b.Offset) }
	blobs := p.Blobs
	if !slices.IsSortedFunc(blobs, byOffset) { // restic writes them in any order
		blobs = slices.SortedFunc(slices.Values(blobs), byOffset)
	}
	end := uint32(0)
	for _, blob := range blobs {
		if blob.Offset < end {
			return fmt.Errorf("blob %s overlaps with the one before it", blob.ID.Short())
		}
		end = blob.Offset + blob.Length
	}
	return nil
}

// replace takes over what another index holds, which must not be used any more.
func (x *index) replace(fresh *index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeTables()
	x.packs, x.data, x.tree = fresh.packs, fresh.data, fresh.tree
	x.objects = fresh.objects
	x.copies.forget()
	x.moved.forget()
}

// close frees the temporary files. Nothing may be looked up after it.
func (x *index) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeTables()
}

func (x *index) closeTables() {
	x.packs.close()
	x.data.close()
	x.tree.close()
}

// Locate says where a blob lies, according to the index that was loaded. An unknown one is ErrNoBlob.
func (r *Repository) Locate(t BlobType, id ID) (Location, error) {
	at, ok, err := r.index.find(t, id)
	switch {
	case err != nil:
		return Location{}, fmt.Errorf("locate %s blob %s: %w", t, id, err)
	case !ok:
		return Location{}, fmt.Errorf("%s blob %s: %w", t, id, ErrNoBlob)
	}
	return at, nil
}

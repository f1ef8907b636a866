package blobindex

import (
	"slices"
	"sync"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// place is where a blob lies, as the index keeps it. The pack is a number, which makes it a third as large: there is one of
// these in memory for every blob of the repository.
type place struct {
	pack, offset, length uint32
	plain                uint32 // zero if not compressed
}

// packExtent is what the index knows about a pack as a whole.
type packExtent struct {
	id  format.ID
	end uint32 // of the last blob
}

// Index knows where all blobs are.
type Index struct {
	// objects are the index objects that it was read from, in their order; nil if it holds anything else.
	objects []format.ID

	mu         sync.RWMutex
	packs      *packTable
	data, tree *blobTable

	moved moved
}

// New makes an index that knows nothing. Close it when it is not needed any more, or have another one Replace what it holds.
func New() *Index {
	return &Index{packs: newPackTable(), data: newBlobTable(), tree: newBlobTable()}
}

// of returns the table of a type's blobs.
func (x *Index) of(t format.BlobType) *blobTable {
	if t == format.TreeBlob {
		return x.tree
	}
	return x.data
}

// Find looks a blob up. The error says that what was written of the index cannot be read, which is no word on the blob.
func (x *Index) Find(t format.BlobType, id format.ID) (packfile.Location, bool, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if at, ok := x.moved.find(blob{t, id}); ok {
		return at, true, nil
	}
	p, ok, err := x.of(t).find(id)
	if !ok {
		return packfile.Location{}, false, err
	}
	pack, err := x.packs.get(int(p.pack))
	if err != nil {
		return packfile.Location{}, false, err
	}
	at := packfile.Blob{Offset: p.offset, Length: p.length, UncompressedLength: p.plain}.Location(pack.id)
	at.PackEnd = pack.end
	return at, true, nil
}

// Add takes over the blobs of a pack. Of a blob that is known already either copy may be found: it is as good.
func (x *Index) Add(pack packfile.Pack) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.objects = nil
	number := uint32(x.packs.add(packExtent{id: pack.ID, end: pack.End()}))
	for _, b := range pack.Blobs {
		at := place{pack: number, offset: b.Offset, length: b.Length, plain: b.UncompressedLength}
		x.of(b.Type).add(b.ID, at)
	}
}

// IsOf reports whether the index holds what these index objects hold, and nothing else.
func (x *Index) IsOf(objects []format.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(objects) > 0 && slices.Equal(x.objects, objects)
}

// Replace takes over what another index holds, which must not be used any more.
func (x *Index) Replace(fresh *Index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeTables()
	x.packs, x.data, x.tree = fresh.packs, fresh.data, fresh.tree
	x.objects = fresh.objects
	x.moved.forget()
}

// Close frees the temporary files. Nothing may be looked up after it.
func (x *Index) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeTables()
}

func (x *Index) closeTables() {
	x.packs.close()
	x.data.close()
	x.tree.close()
}

// SetObjects says that the index holds what these index objects hold, and nothing else, until more is added.
func (x *Index) SetObjects(ids []format.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.objects = ids
}

// Prefer has Find say from now on that a blob lies elsewhere, until Replace.
func (x *Index) Prefer(t format.BlobType, id format.ID, at packfile.Location) {
	x.moved.put(blob{t, id}, at)
}

// Packs is how many packs were added.
func (x *Index) Packs() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.packs.count()
}

// Pack is the one that was added as the one of this number, counted from 0.
func (x *Index) Pack(number int) (format.ID, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	pack, err := x.packs.get(number)
	return pack.id, err
}

// blob is one of a type.
type blob struct {
	blobType format.BlobType
	id       format.ID
}

// moved are blobs of which another copy is to be read than that which the tables know.
type moved struct {
	mu sync.RWMutex
	to map[blob]packfile.Location
}

func (m *moved) find(ref blob) (packfile.Location, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at, ok := m.to[ref]
	return at, ok
}

func (m *moved) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to = nil
}

func (m *moved) put(ref blob, at packfile.Location) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.to == nil {
		m.to = map[blob]packfile.Location{}
	}
	m.to[ref] = at
}

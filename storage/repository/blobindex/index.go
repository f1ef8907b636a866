package blobindex

import (
	"slices"
	"sync"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// place is where a blob lies, as the index keeps it. The pack is a number, which makes a place a third as large: memory
// may hold one for every blob of the repository.
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
	// objects are the index objects that the index was read from, in order; nil if it holds anything else.
	objects []format.ID

	mu         sync.RWMutex
	packs      *packTable
	data, tree *blobTable

	moved moved
}

// New makes an empty index. Close it when it is not needed any more, or let another Index take over its content with
// Replace.
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

// Find looks a blob up. An error says that the index's file cannot be read, which says nothing about the blob.
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

// Add takes over the blobs of a pack. If a blob is known already, Find may return either copy: both are as good.
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

// IsOf reports whether the index holds exactly what these index objects hold.
func (x *Index) IsOf(objects []format.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(objects) > 0 && slices.Equal(x.objects, objects)
}

// Replace takes over the content of another index, which must not be used any more.
func (x *Index) Replace(fresh *Index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closeTables()
	x.packs, x.data, x.tree = fresh.packs, fresh.data, fresh.tree
	x.objects = fresh.objects
	x.moved.forget()
}

// Close frees the temporary files. Nothing may be looked up after that.
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

// SetObjects says that the index holds exactly what these index objects hold, until more is added.
func (x *Index) SetObjects(ids []format.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.objects = ids
}

// Prefer makes Find return another place for a blob, until Replace.
func (x *Index) Prefer(t format.BlobType, id format.ID, at packfile.Location) {
	x.moved.put(blob{t, id}, at)
}

// Packs is how many packs were added.
func (x *Index) Packs() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.packs.count()
}

// Pack returns the pack with a number. Packs are numbered as they are added, from 0.
func (x *Index) Pack(number int) (format.ID, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	pack, err := x.packs.get(number)
	return pack.id, err
}

// blob is a blob of a type.
type blob struct {
	blobType format.BlobType
	id       format.ID
}

// moved are blobs with a better copy than the one in the tables.
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

package blobindex

import (
	"encoding/binary"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// FuzzFind adds packs that an index object may describe, with few or many of them in memory, and finds each of their
// blobs in a place where it may lie.
func FuzzFind(f *testing.F) {
	id := format.Hash([]byte("x"))
	pack := func(blobs ...packfile.Blob) packfile.Pack { return packfile.Pack{ID: id, Blobs: blobs} }
	one := packfile.Blob{ID: id, Type: format.DataBlob, Length: 33}
	two := packfile.Blob{ID: format.Hash(nil), Type: format.TreeBlob, Offset: 33, Length: 1 << 20, UncompressedLength: 1 << 30}
	for _, object := range []packfile.IndexObject{
		{},
		{Packs: []packfile.Pack{pack(one, two)}},
		{Packs: []packfile.Pack{pack(two), pack(one), pack(), pack(one)}},
	} {
		f.Add(object.AppendJSON(nil), uint8(1))
		f.Add(object.AppendJSON(nil), uint8(200))
	}
	f.Fuzz(func(t *testing.T, plain []byte, limit uint8) {
		object, err := packfile.DecodeIndex(plain)
		if err != nil || object.Check() != nil {
			return
		}
		index := New()
		defer index.Close()
		index.data.limit, index.tree.limit, index.packs.limit = int(limit)+1, int(limit)+1, int(limit)+1
		places := map[blob]map[packfile.Location]bool{}
		for _, pack := range object.Packs {
			index.Add(pack)
			for _, b := range pack.Blobs {
				ref, at := blob{b.Type, b.ID}, b.Location(pack.ID)
				at.PackEnd = pack.End()
				if places[ref] == nil {
					places[ref] = map[packfile.Location]bool{}
				}
				places[ref][at] = true
			}
		}
		for ref, may := range places {
			at, ok, err := index.Find(ref.blobType, ref.id)
			if err != nil || !ok || !may[at] || at.PlainLength > format.MaxBlobSize || uint64(at.Offset)+uint64(at.Length) > uint64(at.PackEnd) {
				t.Fatalf("%s blob %s is at %+v, %v, %v; want one of %v", ref.blobType, ref.id, at, ok, err, may)
			}
		}
		unknown := format.Hash(binary.LittleEndian.AppendUint64(nil, uint64(len(plain))))
		if _, ok, err := index.Find(format.DataBlob, unknown); err != nil || ok && places[blob{format.DataBlob, unknown}] == nil {
			t.Fatalf("an unknown blob is known: %v, %v", ok, err)
		}
	})
}

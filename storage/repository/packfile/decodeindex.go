package packfile

import (
	"bytes"
	"math"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/plainjson"
)

// eachOrdinary hands the packs of an index object to fn. It reports false if the object is not written in the ordinary
// way, or is no index object at all; fn may have got some packs by then.
func eachOrdinary(data []byte, fn func(Pack) error) (ordinary bool, err error) {
	data = bytes.TrimSuffix(data, []byte("\n"))
	r := plainjson.NewReader(data)
	r.Expect(`{`)
	r.Optional(`"supersedes":`, func() {
		_ = r.IDs()
		r.Expect(`,`)
	})
	r.Expect(`"packs":[`)
	for more := r.Begins(); more; more = r.GoesOn() {
		pack := readPack(&r)
		if !r.Ordinary() {
			return false, nil
		}
		if err := fn(pack); err != nil {
			return true, err
		}
	}
	r.Expect(`}`)
	return r.Ordinary() && r.At() == len(data), nil
}

// decodeOrdinary reads an index object. It reports false, and changes nothing, if the object is not written in the
// ordinary way, or is no index object at all.
func decodeOrdinary(data []byte, object *IndexObject) bool {
	data = bytes.TrimSuffix(data, []byte("\n"))
	r := plainjson.NewReader(data)
	var x IndexObject
	r.Expect(`{`)
	r.Optional(`"supersedes":`, func() {
		if ids := r.IDs(); ids != nil {
			x.Supersedes = ids
		}
		r.Expect(`,`)
	})
	r.Expect(`"packs":[`)
	x.Packs = []Pack{}
	for more := r.Begins(); more; more = r.GoesOn() {
		x.Packs = append(x.Packs, readPack(&r))
	}
	r.Expect(`}`)
	if !r.Ordinary() || r.At() != len(data) {
		return false
	}
	*object = x
	return true
}

func readPack(r *plainjson.Reader) (pack Pack) {
	r.Expect(`{"id":`)
	pack.ID = r.ID()
	r.Expect(`,"blobs":[`)
	if !r.Ordinary() {
		return pack
	}
	// Allocate no more than the text there can need.
	const shortest = len(`{"id":"","type":"data","offset":0,"length":0}`) + 2*len(format.ID{})
	pack.Blobs = make([]Blob, 0, max(0, r.Until(']'))/shortest)
	for more := r.Begins(); more; more = r.GoesOn() {
		pack.Blobs = append(pack.Blobs, readBlob(r))
	}
	r.Expect(`}`)
	return pack
}

func readBlob(r *plainjson.Reader) (blob Blob) {
	r.Expect(`{"id":`)
	blob.ID = r.ID()
	r.Expect(`,"type":"`)
	switch { // without allocating for each
	case !r.Ordinary():
	case r.Skip(`data"`):
		blob.Type = format.DataBlob
	case r.Skip(`tree"`):
		blob.Type = format.TreeBlob
	default:
		r.Fail()
	}
	r.Expect(`,"offset":`)
	blob.Offset = uint32(r.Number(math.MaxUint32))
	r.Expect(`,"length":`)
	blob.Length = uint32(r.Number(math.MaxUint32))
	r.Optional(`,"uncompressed_length":`, func() { blob.UncompressedLength = uint32(r.Number(math.MaxUint32)) })
	r.Expect(`}`)
	return blob
}

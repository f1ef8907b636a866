package repository

import (
	"encoding/binary"
	"testing"
)

func TestBlobTable(t *testing.T) {
	var table blobTable
	id := func(i int) ID { return Hash(binary.LittleEndian.AppendUint64(nil, uint64(i))) }
	at := func(i int) place {
		return place{pack: uint32(i), offset: uint32(2 * i), length: uint32(i + 1), plain: uint32(3 * i)}
	}
	const count = 50_000
	if _, ok := table.find(id(0)); ok {
		t.Fatal("the empty table knows something")
	}
	for i := range count {
		table.add(id(i), at(i))
		table.add(id(i), at(count+i)) // the first one stays
	}
	slots := 0
	for i := range table.segments {
		slots += len(table.segments[i].slots)
	}
	if slots > count*3/2 {
		t.Errorf("%d slots for %d blobs", slots, count)
	}
	for i := range 2 * count {
		got, ok := table.find(id(i))
		if ok != (i < count) || ok && got != at(i) {
			t.Fatalf("blob %d: %v, %t", i, got, ok)
		}
	}
}

// Ids that begin in the same way are still told apart, also where the search comes to the end of a segment.
func TestBlobTableOfAlikeIDs(t *testing.T) {
	var table blobTable
	for i := range 100 {
		id := ID{0xff, 0xff, 0xff, 0xff, byte(i)}
		table.add(id, place{length: uint32(i + 1)})
	}
	for i := range 100 {
		if got, ok := table.find(ID{0xff, 0xff, 0xff, 0xff, byte(i)}); !ok || got.length != uint32(i+1) {
			t.Fatalf("blob %d: %v, %t", i, got, ok)
		}
	}
	if _, ok := table.find(ID{0xff, 0xff, 0xff, 0xff, 100}); ok {
		t.Error("knows what was never added")
	}
}

package repository

import "encoding/binary"

const (
	// keySize is how much of an id a blobTable keeps, in bytes. Two ids that agree in so much do not occur by chance,
	// and to make two takes 2^64 hashes.
	keySize = 16
	// segments is how many parts a blobTable has. They grow one by one, so that growing takes little memory.
	segments = 256
)

// blobTable knows the places of blobs. There is an entry for every piece of every file in the repository, so it is made
// to be small: half as large as a map. The zero value is empty.
type blobTable struct{ segments [segments]blobSegment }

// blobSegment is a hash table with linear probing. Ids are hashes already.
type blobSegment struct {
	slots []blobSlot
	used  int
}

// blobSlot is an entry. There is none if its length is 0, which no sealed blob has.
type blobSlot struct {
	key   [keySize]byte
	place place
}

// find looks a blob up.
func (t *blobTable) find(id ID) (place, bool) {
	key := [keySize]byte(id[:keySize])
	segment := &t.segments[key[keySize-1]]
	if len(segment.slots) == 0 {
		return place{}, false
	}
	slot := segment.slot(key)
	return slot.place, slot.place.length != 0
}

// add notes the place of a blob, unless it has one already.
func (t *blobTable) add(id ID, at place) {
	key := [keySize]byte(id[:keySize])
	segment := &t.segments[key[keySize-1]]
	if (segment.used+1)*8 > len(segment.slots)*7 {
		segment.grow()
	}
	if slot := segment.slot(key); slot.place.length == 0 {
		*slot = blobSlot{key: key, place: at}
		segment.used++
	}
}

// slot returns the slot of a key, or the empty one where it belongs. There always is an empty one.
func (s *blobSegment) slot(key [keySize]byte) *blobSlot {
	i := int(uint64(binary.LittleEndian.Uint32(key[:])) * uint64(len(s.slots)) >> 32)
	for {
		if slot := &s.slots[i]; slot.place.length == 0 || slot.key == key {
			return slot
		}
		if i++; i == len(s.slots) {
			i = 0
		}
	}
}

func (s *blobSegment) grow() {
	old := s.slots
	s.slots = make([]blobSlot, len(old)*5/4+8)
	for _, slot := range old {
		if slot.place.length != 0 {
			*s.slot(slot.key) = slot
		}
	}
}

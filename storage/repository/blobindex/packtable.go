package blobindex

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

const (
	// packsInMemory is how many packs are kept in memory; further packs go to a file. It is enough for 2 TiB in packs
	// of 8 MiB, and takes 9 MiB.
	packsInMemory = 256 << 10
	// packEntrySize is the size of an entry of the file, in bytes: the id, and the end of the last blob.
	packEntrySize = len(format.ID{}) + 4
	// packBuffer is how much is written to the file at once, in bytes.
	packBuffer = 4096 * packEntrySize
)

// packTable has the packs of an index by their numbers. Several goroutines may look packs up at the same time, but
// nothing else may happen while one adds.
type packTable struct {
	first   []packExtent
	file    *os.File // unnamed; nil while there is none
	written int      // bytes in the file
	tail    []byte   // packs behind those
	full    bool     // the file cannot be written: all further packs stay in the tail
	limit   int      // how many packs first holds
}

func newPackTable() *packTable { return &packTable{limit: packsInMemory} }

// count is how many packs there are; the next one gets this number.
func (t *packTable) count() int {
	return len(t.first) + (t.written+len(t.tail))/packEntrySize
}

// add gives a pack its number.
func (t *packTable) add(extent packExtent) (number int) {
	number = t.count()
	if number < t.limit {
		t.first = append(t.first, extent)
		return number
	}
	t.tail = append(t.tail, extent.id[:]...)
	t.tail = binary.LittleEndian.AppendUint32(t.tail, extent.end)
	if len(t.tail) >= packBuffer && !t.full {
		t.spill()
	}
	return number
}

// spill writes the tail to the file. If no file can be written, that costs only memory.
func (t *packTable) spill() {
	if t.file == nil {
		file, err := os.CreateTemp("", "stsbackup-packs-")
		if err != nil {
			t.full = true
			return
		}
		if os.Remove(file.Name()) != nil { // nobody else finds it, and it disappears with the process
			_ = file.Close()
			t.full = true
			return
		}
		t.file = file
	}
	if _, err := t.file.WriteAt(t.tail, int64(t.written)); err != nil {
		t.full = true
		return
	}
	t.written += len(t.tail)
	t.tail = t.tail[:0]
}

// get returns a pack by its number.
func (t *packTable) get(number int) (packExtent, error) {
	if number < len(t.first) {
		return t.first[number], nil
	}
	at := (number - len(t.first)) * packEntrySize
	var entry [packEntrySize]byte
	if at >= t.written {
		copy(entry[:], t.tail[at-t.written:])
	} else if _, err := t.file.ReadAt(entry[:], int64(at)); err != nil {
		return packExtent{}, fmt.Errorf("read %w: %w", ErrFile, err)
	}
	return packExtent{id: format.ID(entry[:len(format.ID{})]), end: binary.LittleEndian.Uint32(entry[len(format.ID{}):])}, nil
}

// close frees the file. The table must not be used after that.
func (t *packTable) close() {
	if t.file != nil {
		_ = t.file.Close()
	}
	t.first, t.tail, t.file = nil, nil, nil
}

package packfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// headerEntrySize is the length of one entry in a pack's table of contents, for a compressed blob.
const headerEntrySize = 1 + 4 + 4 + 32

// Types of entries in a pack's table of contents.
const (
	entryData byte = iota
	entryTree
	entryCompressedData
	entryCompressedTree
)

// ErrHeader says that a table of contents is damaged.
var ErrHeader = errors.New("its table of contents is damaged")

// DecodeHeader reads the entries of a table of contents. The blobs lie one behind the other.
func DecodeHeader(plain []byte) ([]Blob, error) {
	var blobs []Blob
	offset := uint64(0)
	for len(plain) > 0 {
		kind := plain[0]
		size := headerEntrySize
		if kind < entryCompressedData {
			size -= 4
		}
		if kind > entryCompressedTree || len(plain) < size {
			return nil, fmt.Errorf("%w: entry %d", ErrHeader, len(blobs))
		}
		blob := Blob{Type: format.DataBlob, Offset: uint32(offset), Length: binary.LittleEndian.Uint32(plain[1:])}
		if kind == entryTree || kind == entryCompressedTree {
			blob.Type = format.TreeBlob
		}
		if kind >= entryCompressedData {
			if blob.UncompressedLength = binary.LittleEndian.Uint32(plain[5:]); blob.UncompressedLength == 0 {
				return nil, fmt.Errorf("%w: entry %d", ErrHeader, len(blobs))
			}
		}
		copy(blob.ID[:], plain[size-len(blob.ID):size])
		if offset += uint64(blob.Length); offset > format.MaxPackSize {
			return nil, fmt.Errorf("%w: entry %d lies outside of any pack", ErrHeader, len(blobs))
		}
		blobs, plain = append(blobs, blob), plain[size:]
	}
	return blobs, nil
}

// AppendHeaderEntry appends the entry of a blob to a table of contents.
func AppendHeaderEntry(buf []byte, blob Blob) []byte {
	kind := entryData
	if blob.Type == format.TreeBlob {
		kind = entryTree
	}
	if blob.UncompressedLength != 0 {
		kind += entryCompressedData
	}
	buf = binary.LittleEndian.AppendUint32(append(buf, kind), blob.Length)
	if blob.UncompressedLength != 0 {
		buf = binary.LittleEndian.AppendUint32(buf, blob.UncompressedLength)
	}
	return append(buf, blob.ID[:]...)
}

// Size is how large a pack with these blobs is: they lie without gaps, and the table of contents follows.
func Size(blobs []Blob) int64 {
	size := int64(seal.Overhead + 4)
	for _, blob := range blobs {
		size += int64(blob.Length) + int64(entrySize(blob))
	}
	return size
}

// entrySize is how many bytes a blob takes in the table of contents.
func entrySize(blob Blob) int {
	if blob.UncompressedLength != 0 {
		return headerEntrySize
	}
	return headerEntrySize - 4
}

package packfile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// Pack is what an index object says about a pack.
type Pack struct {
	ID    format.ID `json:"id"`
	Blobs []Blob    `json:"blobs"`
}

// Kept is a copy with the least possible memory, for callers that keep all packs: package json leaves room at the end
// of a list, and allocates a string for every type.
func (p Pack) Kept() Pack {
	blobs := make([]Blob, len(p.Blobs))
	for i, blob := range p.Blobs {
		if blob.Type = format.DataBlob; p.Blobs[i].Type == format.TreeBlob {
			blob.Type = format.TreeBlob
		}
		blobs[i] = blob
	}
	return Pack{ID: p.ID, Blobs: blobs}
}

// End is where the pack's last blob ends.
func (p Pack) End() uint32 {
	end := uint32(0)
	for _, blob := range p.Blobs {
		end = max(end, blob.Offset+blob.Length)
	}
	return end
}

// Check reports what cannot be true about a pack.
func (p Pack) Check() error {
	for _, blob := range p.Blobs {
		if err := blob.Check(); err != nil {
			return err
		}
	}
	blobs := p.Blobs
	if !slices.IsSortedFunc(blobs, compareOffsets) { // restic writes them in any order
		blobs = ByOffset(blobs)
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

// Blob is what an index object, or the table of contents of a pack, says about a blob.
type Blob struct {
	ID                 format.ID       `json:"id"`
	Type               format.BlobType `json:"type"`
	Offset             uint32          `json:"offset"`
	Length             uint32          `json:"length"`
	UncompressedLength uint32          `json:"uncompressed_length,omitempty"`
}

// Check reports what cannot be true about a blob.
func (b Blob) Check() error {
	switch {
	case b.Type != format.DataBlob && b.Type != format.TreeBlob:
		return fmt.Errorf("blob %s has the unknown type %.16q", b.ID.Short(), string(b.Type))
	case b.Length <= seal.Overhead && (b.Length < seal.Overhead || b.UncompressedLength != 0):
		return fmt.Errorf("blob %s has the impossible length %d", b.ID.Short(), b.Length)
	case b.Type == format.DataBlob && max(b.Length, b.UncompressedLength) > format.MaxDataBlobSize,
		b.Length > format.MaxBlobSize || b.UncompressedLength > format.MaxBlobSize || uint64(b.Offset)+uint64(b.Length) > format.MaxPackSize:
		return fmt.Errorf("blob %s is larger, or lies further inside its pack, than is allowed", b.ID.Short())
	}
	return nil
}

// SameBlobs compares what two index objects say about one pack. The order does not matter.
func SameBlobs(a, b []Blob) bool { return slices.Equal(ByOffset(a), ByOffset(b)) }

// ByOffset is a copy of a list of blobs in the order in which they lie in their pack.
func ByOffset(blobs []Blob) []Blob { return slices.SortedFunc(slices.Values(blobs), compareOffsets) }

func compareOffsets(a, b Blob) int { return cmp.Compare(a.Offset, b.Offset) }

// Location says where a blob lies.
type Location struct {
	// Pack is the pack's id.
	Pack format.ID
	// Offset and Length locate the sealed blob within the pack, in bytes.
	Offset, Length uint32
	// PlainLength is the length of the plain blob, in bytes.
	PlainLength uint32
	// Compressed says whether the sealed bytes are zstd-compressed.
	Compressed bool

	// PackEnd is where the pack's last blob ends.
	PackEnd uint32
}

// Location is where the blob lies, if it is in this pack. It does not set PackEnd.
func (b Blob) Location(pack format.ID) Location {
	at := Location{Pack: pack, Offset: b.Offset, Length: b.Length, PlainLength: b.UncompressedLength, Compressed: b.UncompressedLength != 0}
	if !at.Compressed {
		at.PlainLength = b.Length - seal.Overhead
	}
	return at
}

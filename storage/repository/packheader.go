package repository

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxHeaderSize bounds a pack's table of contents, in bytes. Ours have at most maxPackBlobs entries.
const maxHeaderSize = 16 << 20

var errHeader = errors.New("its table of contents is damaged")

// readHeader asks a pack of size bytes for its table of contents, for what no index knows.
func (r *Repository) readHeader(ctx context.Context, pack ID, size int64) (indexPack, error) {
	fail := func(err error) (indexPack, error) {
		return indexPack{}, fmt.Errorf("table of contents of %s: %w", kindData.name(pack), err)
	}
	if size < sealedOverhead+4 || size > maxPackSize {
		return fail(fmt.Errorf("%w: a pack of %d bytes is not possible", errHeader, size))
	}
	tail, err := r.ReadPack(ctx, pack, size-4, nil, 4)
	if err != nil {
		return indexPack{}, err
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if length > min(size-4, maxHeaderSize) {
		return fail(fmt.Errorf("%w: %d bytes of %d are not possible", errHeader, length, size))
	}
	sealed, err := r.ReadPack(ctx, pack, size-4-length, nil, int(length))
	if err != nil {
		return indexPack{}, err
	}
	plain, err := r.sealer.open(sealed)
	if err != nil {
		return fail(err)
	}
	blobs, err := decodeHeader(plain)
	if err != nil {
		return fail(err)
	}
	found := indexPack{ID: pack, Blobs: blobs}
	if err := found.check(); err != nil {
		return fail(err)
	}
	if packSize(blobs) != size {
		return fail(fmt.Errorf("%w: it is not that of a pack of %d bytes", errHeader, size))
	}
	return found, nil
}

// decodeHeader reads the entries of a table of contents. The blobs lie one behind the other.
func decodeHeader(plain []byte) ([]indexBlob, error) {
	var blobs []indexBlob
	offset := uint64(0)
	for len(plain) > 0 {
		kind := plain[0]
		size := headerEntrySize
		if kind < entryCompressedData {
			size -= 4
		}
		if kind > entryCompressedTree || len(plain) < size {
			return nil, fmt.Errorf("%w: entry %d", errHeader, len(blobs))
		}
		blob := indexBlob{Type: DataBlob, Offset: uint32(offset), Length: binary.LittleEndian.Uint32(plain[1:])}
		if kind == entryTree || kind == entryCompressedTree {
			blob.Type = TreeBlob
		}
		if kind >= entryCompressedData {
			if blob.UncompressedLength = binary.LittleEndian.Uint32(plain[5:]); blob.UncompressedLength == 0 {
				return nil, fmt.Errorf("%w: entry %d", errHeader, len(blobs))
			}
		}
		copy(blob.ID[:], plain[size-len(blob.ID):size])
		if offset += uint64(blob.Length); offset > maxPackSize {
			return nil, fmt.Errorf("%w: entry %d lies outside of any pack", errHeader, len(blobs))
		}
		blobs, plain = append(blobs, blob), plain[size:]
	}
	return blobs, nil
}

package repository

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// maxHeaderSize bounds a pack's table of contents, in bytes. Ours have at most maxPackBlobs entries.
const maxHeaderSize = 16 << 20

// readHeader reads the table of contents of a pack of size bytes, for packs that no index knows.
func (r *Repository) readHeader(ctx context.Context, pack ID, size int64) (packfile.Pack, error) {
	fail := func(err error) (packfile.Pack, error) {
		return packfile.Pack{}, fmt.Errorf("table of contents of %s: %w", kindData.name(pack), err)
	}
	if size < seal.Overhead+4 || size > format.MaxPackSize {
		return fail(fmt.Errorf("%w: a pack of %d bytes is not possible", packfile.ErrHeader, size))
	}
	tail, err := r.ReadPack(ctx, pack, size-4, nil, 4)
	if err != nil {
		return packfile.Pack{}, err
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if length > min(size-4, maxHeaderSize) {
		return fail(fmt.Errorf("%w: %d bytes of %d are not possible", packfile.ErrHeader, length, size))
	}
	sealed, err := r.ReadPack(ctx, pack, size-4-length, nil, int(length))
	if err != nil {
		return packfile.Pack{}, err
	}
	plain, err := r.sealer.Open(sealed)
	if err != nil {
		return fail(err)
	}
	blobs, err := packfile.DecodeHeader(plain)
	if err != nil {
		return fail(err)
	}
	found := packfile.Pack{ID: pack, Blobs: blobs}
	if err := found.Check(); err != nil {
		return fail(err)
	}
	if packfile.Size(blobs) != size {
		return fail(fmt.Errorf("%w: it does not belong to a pack of %d bytes", packfile.ErrHeader, size))
	}
	return found, nil
}

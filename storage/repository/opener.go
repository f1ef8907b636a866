package repository

import (
	"fmt"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/sha256pair"
)

// SealedBlob is a blob as it lies in its pack.
type SealedBlob struct {
	ID ID
	At packfile.Location
	// Bytes are the blob's bytes in the pack; opening the blob overwrites them.
	Bytes []byte
}

// Opener opens many blobs. It hashes two of them at a time, which takes less time than one by one, and reuses their
// memory. Only one goroutine at a time may use it.
type Opener struct {
	repo *Repository
	free [][]byte // buffers that hold no blob
}

// opened is a decrypted blob, whose hash may not be known yet.
type opened struct {
	number int // in the list that Open was given
	plain  []byte
	hashed int // bytes of plain
	sum    *sha256pair.Digest
}

// NewOpener makes an Opener of blobs of this repository.
func (r *Repository) NewOpener() *Opener { return &Opener{repo: r} }

// Open turns sealed blobs into their plain bytes, compares their hashes with their ids, and hands them to use. use gets
// each number in the list once, in no strict order, with the bytes or with an error that names the blob. The bytes are
// good until use returns. An error from use ends Open, which returns it unchanged.
func (o *Opener) Open(blobs []SealedBlob, use func(number int, plain []byte, err error) error) error {
	var held *opened // the blob that is not hashed to its end
	for i, blob := range blobs {
		next, err := o.unpack(i, blob)
		switch {
		case err != nil:
			err = use(i, nil, explain(blob.At, blob.ID, err))
		case held == nil:
			held = next
		default:
			held, err = o.both(blobs, held, next, use)
		}
		if err != nil {
			return err
		}
	}
	if held == nil {
		return nil
	}
	return o.end(blobs, held, use)
}

// unpack decrypts and decompresses a blob.
func (o *Opener) unpack(number int, blob SealedBlob) (*opened, error) {
	var buf []byte
	if last := len(o.free) - 1; last >= 0 && blob.At.Compressed {
		buf, o.free = o.free[last], o.free[:last]
	}
	plain, err := o.repo.unpackBlob(blob.At, blob.Bytes, buf)
	if err != nil {
		o.keep(blob.At, buf)
		return nil, err
	}
	return &opened{number: number, plain: plain, sum: sha256pair.New()}, nil
}

// both hashes two blobs side by side up to the end of the shorter rest. It hands that blob to use, and returns the
// other.
func (o *Opener) both(blobs []SealedBlob, held, next *opened, use func(int, []byte, error) error) (*opened, error) {
	n := min(len(held.plain)-held.hashed, len(next.plain)-next.hashed)
	sha256pair.Both(held.sum, held.plain[held.hashed:held.hashed+n], next.sum, next.plain[next.hashed:next.hashed+n])
	held.hashed, next.hashed = held.hashed+n, next.hashed+n
	if held.hashed < len(held.plain) {
		held, next = next, held
	}
	return next, o.end(blobs, held, use)
}

// end hashes the rest of a blob alone, and hands the blob to use, with an error if its hash is wrong.
func (o *Opener) end(blobs []SealedBlob, blob *opened, use func(int, []byte, error) error) error {
	sealed := blobs[blob.number]
	defer o.keep(sealed.At, blob.plain)
	blob.sum.Add(blob.plain[blob.hashed:])
	if blob.sum.Sum() != sealed.ID {
		return use(blob.number, nil, explain(sealed.At, sealed.ID, errHash))
	}
	return use(blob.number, blob.plain, nil)
}

// keep keeps a buffer for another blob. Blobs that were not compressed lie within the caller's buffers instead.
func (o *Opener) keep(at packfile.Location, buf []byte) {
	if at.Compressed && buf != nil {
		o.free = append(o.free, buf)
	}
}

// explain says which blob could not be opened.
func explain(at packfile.Location, id ID, err error) error {
	return fmt.Errorf("blob %s at %d of %s: %w", id, at.Offset, kindData.name(at.Pack), err)
}

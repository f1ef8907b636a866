package repository

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// LoadBlob reads one blob and checks it. If the blob lies in several packs, any copy serves. For many blobs of one
// pack, ReadPack and OpenBlob are better.
func (r *Repository) LoadBlob(ctx context.Context, t BlobType, id ID) ([]byte, error) {
	at, err := r.Locate(t, id)
	if err != nil {
		return nil, err
	}
	plain, err := r.loadBlobAt(ctx, at, id)
	if err != nil {
		return r.loadCopy(ctx, blobRef{t, id}, at, err)
	}
	return plain, nil
}

// loadBlobAt reads the blob at a location and checks it.
func (r *Repository) loadBlobAt(ctx context.Context, at packfile.Location, id ID) (plain []byte, err error) {
	err = twice(func() error {
		sealed, err := r.ReadPack(ctx, at.Pack, int64(at.Offset), nil, int(at.Length))
		if err != nil {
			return err
		}
		plain, err = r.OpenBlob(at, id, sealed, nil)
		return err
	})
	return plain, err
}

// twice calls read again if the data seems damaged: it may have been changed on its way here, and not in the bucket.
func twice(read func() error) error {
	err := read()
	if damaged(err) {
		return read()
	}
	return err
}

func damaged(err error) bool { return errors.Is(err, errHash) || errors.Is(err, seal.ErrDamaged) }

// ReadPack reads length bytes of a pack from offset on, into buf if that is large enough. Nobody has checked the bytes:
// only OpenBlob does that.
func (r *Repository) ReadPack(ctx context.Context, pack ID, offset int64, buf []byte, length int) ([]byte, error) {
	body, err := r.StreamPack(ctx, pack, offset, int64(length))
	if err != nil {
		return nil, err
	}
	data, err := body.Next(length, buf)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	return data, err
}

// StreamPack opens a range of a pack, in bytes, for reading part by part. The caller closes it.
func (r *Repository) StreamPack(ctx context.Context, pack ID, offset, length int64) (*PackStream, error) {
	name := kindData.name(pack)
	body, err := r.bucket.Get(ctx, name, offset, length)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, &readError{err})
	}
	return &PackStream{name: name, body: body, at: offset}, nil
}

// PackStream is a range of a pack on its way from the bucket. It is for use by one goroutine.
type PackStream struct {
	name string
	body io.ReadCloser
	at   int64
}

// Next reads the next length bytes, into buf if that is large enough. Nobody has checked the bytes: only OpenBlob does
// that.
func (s *PackStream) Next(length int, buf []byte) ([]byte, error) {
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	if _, err := io.ReadFull(s.body, buf[:length]); err != nil {
		return nil, fmt.Errorf("read %d bytes at %d of %s: %w", length, s.at, s.name, &readError{err})
	}
	s.at += int64(length)
	return buf[:length], nil
}

// Close gives up the rest of the range.
func (s *PackStream) Close() error {
	if err := s.body.Close(); err != nil {
		return fmt.Errorf("read %s: %w", s.name, &readError{err})
	}
	return nil
}

// OpenBlob turns the sealed bytes of the blob at a location into its plain bytes and compares their hash with id. It
// overwrites sealed. The plain bytes are in buf if that is large enough, or within sealed.
func (r *Repository) OpenBlob(at packfile.Location, id ID, sealed, buf []byte) ([]byte, error) {
	plain, err := r.openBlob(at, id, sealed, buf)
	if err != nil {
		return nil, explain(at, id, err)
	}
	return plain, nil
}

func (r *Repository) openBlob(at packfile.Location, id ID, sealed, buf []byte) ([]byte, error) {
	plain, err := r.unpackBlob(at, sealed, buf)
	if err != nil {
		return nil, err
	}
	if err := verifyHash(plain, id); err != nil {
		return nil, err
	}
	return plain, nil
}

// unpackBlob decrypts and decompresses a blob, without comparing it with its id.
func (r *Repository) unpackBlob(at packfile.Location, sealed, buf []byte) ([]byte, error) {
	if len(sealed) != int(at.Length) {
		return nil, errors.New("not the length that the index gives")
	}
	plain, err := r.sealer.Open(sealed)
	if err != nil || !at.Compressed {
		return plain, err
	}
	if int64(at.PlainLength) > int64(len(plain))*compress.MaxRatio {
		return nil, fmt.Errorf("%d bytes cannot be the compressed form of %d", len(plain), at.PlainLength)
	}
	return r.zstd.Decompress(buf[:0], plain, int(at.PlainLength))
}

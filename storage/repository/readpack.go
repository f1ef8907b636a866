package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// readPack reads a pack and notes its bad blobs. If something seems damaged, it reads the pack once more: the data may
// have been changed on its way here, and not in the bucket.
func (c *checker) readPack(ctx context.Context, pack *checkedPack) error {
	var bad []packfile.Blob
	err := twice(func() (err error) {
		bad, err = c.readPackOnce(ctx, pack)
		return err
	})
	if len(bad) > 0 {
		c.spoil(pack, bad...)
	}
	return err
}

// readPackOnce reads a pack from its first byte to its last: every blob, the table of contents, and the hash of the
// whole. It streams the pack, so that a pack takes no more memory than its largest blob. It returns the blobs that
// cannot be read from the pack.
func (c *checker) readPackOnce(ctx context.Context, pack *checkedPack) (bad []packfile.Blob, err error) {
	body, err := c.repo.bucket.Get(ctx, kindData.name(pack.id), 0, pack.size)
	if err != nil {
		return pack.blobs, err
	}
	defer body.Close()
	blobs := packfile.ByOffset(pack.blobs)
	stream := newPackStream(body, pack.size)
	var failures []error
	for _, blob := range blobs {
		err := stream.blob(c.repo, pack.id, blob)
		if errors.Is(err, errStream) {
			return pack.blobs, errors.Join(append(failures, err)...)
		}
		if err != nil {
			bad = append(bad, blob)
			failures = append(failures, err)
		}
	}
	if err := stream.end(c.repo, pack.id, blobs); err != nil {
		failures = append(failures, err)
	}
	return bad, errors.Join(failures...)
}

// errStream says that the rest of a pack cannot be read.
var errStream = errors.New("cannot be read on")

type packStream struct {
	body       io.Reader
	hash       hash.Hash
	at, left   int64
	buf, plain []byte
}

func newPackStream(body io.Reader, size int64) *packStream {
	return &packStream{body: body, hash: sha256.New(), left: size}
}

func (s *packStream) next(n int) ([]byte, error) {
	if int64(n) > s.left {
		return nil, fmt.Errorf("ends before byte %d: %w", s.at+int64(n), errStream)
	}
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	if _, err := io.ReadFull(s.body, s.buf[:n]); err != nil {
		return nil, fmt.Errorf("at byte %d: %w: %w", s.at, errStream, &readError{err})
	}
	s.hash.Write(s.buf[:n])
	s.at, s.left = s.at+int64(n), s.left-int64(n)
	return s.buf[:n], nil
}

// blob reads and checks the next blob.
func (s *packStream) blob(r *Repository, pack ID, blob packfile.Blob) error {
	if int64(blob.Offset) != s.at {
		return fmt.Errorf("blob %s lies at %d by the index, the one before it ends at %d: %w", blob.ID.Short(), blob.Offset, s.at, errStream)
	}
	if blob.Type == TreeBlob && blob.Location(pack).PlainLength > treeblob.Large {
		return s.largeTree(r, blob.Location(pack), blob.ID)
	}
	sealed, err := s.next(int(blob.Length))
	if err != nil {
		return err
	}
	plain, err := r.openBlob(blob.Location(pack), blob.ID, sealed, s.plain)
	if err != nil {
		return fmt.Errorf("%s blob %s at %d: %w", blob.Type, blob.ID.Short(), blob.Offset, err)
	}
	if blob.UncompressedLength != 0 && cap(plain) > cap(s.plain) {
		s.plain = plain[:0]
	}
	return nil
}

// largeTree reads and checks a blob that is too large for memory.
func (s *packStream) largeTree(r *Repository, at packfile.Location, id ID) error {
	sealed, err := r.keepSealed(at, id, func(length int, _ []byte) ([]byte, error) { return s.next(length) })
	if err == nil {
		sealed.close()
		return nil
	}
	if errors.Is(err, errStream) {
		return err
	}
	for end := int64(at.Offset) + int64(at.Length); s.at < end; { // keepSealed may have refused it before reading all of it
		if _, skipErr := s.next(int(min(end-s.at, sealedPart))); skipErr != nil {
			return errors.Join(err, skipErr)
		}
	}
	return fmt.Errorf("%s blob %s at %d: %w", TreeBlob, id.Short(), at.Offset, err)
}

// end reads what follows the blobs. It compares the table of contents with the index, and the hash with the name.
func (s *packStream) end(r *Repository, pack ID, blobs []packfile.Blob) error {
	raw, err := s.next(int(s.left))
	if err != nil {
		return err
	}
	if !bytes.Equal(s.hash.Sum(nil), pack[:]) {
		return errHash
	}
	if len(raw) < 4 || int64(binary.LittleEndian.Uint32(raw[len(raw)-4:])) != int64(len(raw)-4) {
		return errors.New("the length of its table of contents is wrong")
	}
	header, err := r.sealer.Open(raw[:len(raw)-4])
	if err != nil {
		return fmt.Errorf("table of contents: %w", err)
	}
	var want []byte
	for _, blob := range blobs {
		want = packfile.AppendHeaderEntry(want, blob)
	}
	if !bytes.Equal(header, want) {
		return errors.New("its table of contents differs from the index")
	}
	return nil
}

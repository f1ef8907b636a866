package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

const (
	// sealedInMemory is the largest size of a streamed blob whose sealed bytes stay in memory; larger ones go to a
	// temporary file, still sealed.
	sealedInMemory = 16 << 20
	// sealedPart is how many of those bytes are read at once.
	sealedPart = 256 << 10
)

// errTreeFile says that a temporary file cannot be written or read, which is no fault of the repository.
var errTreeFile = errors.New("the temporary file for a large directory")

// sealedBlob is a large blob as it is stored, whose MAC has been checked. It is opened for each reading, and all of its
// plain bytes are never in memory at once.
type sealedBlob struct {
	sealer *seal.Sealer
	at     packfile.Location
	iv     [seal.IVSize]byte
	memory []byte
	file   *os.File // instead of memory; it has no name
	size   int64
}

// fetchSealed gets a blob, checks it, and keeps it sealed.
func (r *Repository) fetchSealed(ctx context.Context, at packfile.Location, id ID) (blob *sealedBlob, err error) {
	err = twice(func() error {
		body, err := r.StreamPack(ctx, at.Pack, int64(at.Offset), int64(at.Length))
		if err != nil {
			return err
		}
		blob, err = r.keepSealed(at, id, body.Next)
		if closeErr := body.Close(); err == nil {
			err = closeErr
		}
		var read *readError
		if err != nil && !errors.As(err, &read) {
			err = explain(at, id, err)
		}
		return err
	})
	return blob, err
}

// keepSealed reads a blob part by part, and checks its MAC and its hash.
func (r *Repository) keepSealed(at packfile.Location, id ID, next func(length int, buf []byte) ([]byte, error)) (*sealedBlob, error) {
	b := &sealedBlob{sealer: r.sealer, at: at, size: int64(at.Length) - seal.Overhead}
	if b.size < 0 {
		return nil, seal.ErrDamaged
	}
	if at.Compressed && int64(at.PlainLength) > b.size*compress.MaxRatio {
		return nil, fmt.Errorf("%d bytes cannot be the compressed form of %d", b.size, at.PlainLength)
	}
	if err := b.takeIn(next); err != nil {
		b.close()
		return nil, err
	}
	if err := b.verify(id); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// takeIn reads the IV, the text and the MAC.
func (b *sealedBlob) takeIn(next func(length int, buf []byte) ([]byte, error)) error {
	part, err := next(seal.IVSize, nil)
	if err != nil {
		return err
	}
	b.iv = [seal.IVSize]byte(part)
	check := b.sealer.Check(b.iv)
	if b.size > sealedInMemory {
		b.file = unnamedFile() // without it, memory has to do
	}
	var buf []byte
	for left := b.size; left > 0; left -= int64(len(part)) {
		if part, err = next(int(min(left, sealedPart)), buf); err != nil {
			return err
		}
		buf = part
		_, _ = check.Write(part) // never fails
		if b.file == nil {
			b.memory = append(b.memory, part...)
		} else if _, err := b.file.Write(part); err != nil {
			return fmt.Errorf("write %w: %w", errTreeFile, err)
		}
	}
	if part, err = next(seal.MACSize, nil); err != nil {
		return err
	}
	return check.Compare(part)
}

// unnamedFile makes a temporary file that disappears with the process; nil if that fails.
func unnamedFile() *os.File {
	file, err := os.CreateTemp("", "stsbackup-tree-")
	if err != nil {
		return nil
	}
	if os.Remove(file.Name()) != nil {
		_ = file.Close()
		return nil
	}
	return file
}

// verify compares the hash of the plain bytes with their name.
func (b *sealedBlob) verify(id ID) error {
	plain, err := b.open()
	if err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, plain); err != nil {
		return err
	}
	if ID(hash.Sum(nil)) != id {
		return errHash
	}
	return nil
}

// open starts reading the plain bytes.
func (b *sealedBlob) open() (*plainStream, error) {
	var sealed io.Reader = &byteReader{rest: b.memory}
	if b.file != nil {
		sealed = io.NewSectionReader(treeFile{b.file}, 0, b.size)
	}
	stream := &plainStream{left: int64(b.at.PlainLength)}
	stream.from = b.sealer.Decrypt(b.iv, sealed)
	if b.at.Compressed {
		decompressed, err := compress.NewReader(stream.from)
		if err != nil {
			return nil, err
		}
		stream.from = decompressed
	}
	return stream, nil
}

// close releases the memory, or the file. The blob must not be used after that.
func (b *sealedBlob) close() {
	b.memory = nil
	if b.file != nil {
		_ = b.file.Close()
	}
}

// byteReader reads bytes, and cannot seek back.
type byteReader struct{ rest []byte }

func (r *byteReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// treeFile marks errors as the temporary file's.
type treeFile struct{ file *os.File }

func (f treeFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read %w: %w", errTreeFile, err)
	}
	return n, err
}

// plainStream reads the plain bytes of a blob. There must be as many as the index says.
type plainStream struct {
	from io.Reader
	left int64
}

func (s *plainStream) Read(p []byte) (int, error) {
	if int64(len(p)) > s.left+1 {
		p = p[:s.left+1]
	}
	n, err := s.from.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, errors.New("has more bytes than the index says")
	}
	if errors.Is(err, io.EOF) && s.left > 0 {
		return n, fmt.Errorf("ends %d bytes before the index says: %w", s.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

package local

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/stsbackup/stsbackup/storage"
)

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := b.check(ctx, "get", name); err != nil {
		return nil, err
	}
	// O_NONBLOCK keeps us from waiting for a writer, should somebody have put a named pipe there.
	file, err := b.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, b.fail("get", name, err)
	}
	left, err := seek(file, offset, length)
	if err != nil {
		_ = file.Close()
		return nil, b.fail("get", name, err)
	}
	return &reader{ctx: ctx, bucket: b, name: name, file: file, left: left}, nil
}

// seek moves to the start of the range and returns its length.
func seek(file *os.File, offset, length int64) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fs.ErrNotExist
	}
	size := info.Size()
	if offset < 0 || offset > size || length > size-offset {
		return 0, storage.ErrRange
	}
	if length < 0 {
		length = size - offset
	}
	_, err = file.Seek(offset, io.SeekStart)
	return length, err
}

// reader reads the rest of a range for as long as its context lives.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	name   string
	file   *os.File
	left   int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.bucket.fail("read", r.name, ended(r.ctx))
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case err == io.EOF:
		// Nobody changes a file in place except somebody who should not.
		return n, fmt.Errorf(
			"read %s in %s: %w: the file is %d bytes shorter than it was when it was opened",
			r.name,
			r.bucket,
			io.ErrUnexpectedEOF,
			r.left,
		)
	case err != nil:
		return n, r.bucket.fail("read", r.name, err)
	}
	return n, nil
}

func (r *reader) Close() error { return r.file.Close() }

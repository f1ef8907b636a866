package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// errShort: an answer ended before the bytes that were asked for.
var errShort = errors.New("the answer is too short")

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	c := call{"get", name, actionGet}
	if err := b.check(c); err != nil {
		return nil, err
	}
	// S3 has no range of no bytes, nor does it tell an end that lies beyond the object's from one at its end.
	if offset < 0 || length == 0 || length > math.MaxInt64-offset {
		return b.nothing(ctx, c, offset, length)
	}
	r := &reader{ctx: ctx, bucket: b, call: c, first: offset, next: offset, left: length}
	err := b.try(ctx, c, r.open)
	if errors.Is(err, storage.ErrRange) && length < 0 {
		return b.nothing(ctx, c, offset, 0) // from the very end on there is nothing, which is not too little
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// nothing answers for ranges without bytes, which only the object's size tells from those outside of it.
func (b *Bucket) nothing(ctx context.Context, c call, offset, length int64) (io.ReadCloser, error) {
	info, err := b.stat(ctx, c)
	if err != nil {
		return nil, err
	}
	if offset < 0 || offset > info.Size || length > info.Size-offset {
		return nil, b.explain(c, failure{sentinel: storage.ErrRange}, 1)
	}
	return http.NoBody, nil
}

// reader reads a range of an object, over as many requests as it takes.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	call   call
	first  int64  // offset in the object of the range
	next   int64  // and of the next byte
	left   int64  // bytes still to come; negative until the first answer has said how many there are
	etag   string // of the version that is being read

	body     io.ReadCloser // nil while there is none
	dog      *watchdog
	failures int // in a row
	closed   bool
}

// open asks for the rest of the range. It is one attempt.
func (r *reader) open(ctx context.Context) error {
	var options minio.GetObjectOptions
	switch {
	case r.left >= 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-%d", r.next, r.next+r.left-1))
	case r.next > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-", r.next))
	}
	if r.etag != "" {
		if err := options.SetMatchETag(r.etag); err != nil {
			return err
		}
	}
	attempt, dog := watch(ctx, r.bucket.stall)
	dog.await(r.bucket.small) // for the answer's head, or all of one that refuses
	body, info, header, err := r.bucket.client.GetObject(attempt, r.bucket.config.Bucket, r.call.name, options)
	if err == nil {
		err = r.accept(header, info.ETag)
		if err != nil {
			_ = body.Close()
		}
	}
	if err != nil {
		if response := minio.ToErrorResponse(err); response.StatusCode == http.StatusForbidden && meaningOf(response) == forbidden {
			err = r.bucket.elaborate(attempt, r.call, err)
		}
		err = cause(attempt, err)
		dog.release()
		return err
	}
	dog.pause()
	r.body, r.dog = body, dog
	return nil
}

// accept checks that an answer brings what was asked for, and notes what was not known.
func (r *reader) accept(header http.Header, etag string) error {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: it has no length", errShort)
	}
	if r.next > 0 || r.left >= 0 {
		unit, rest, _ := strings.Cut(header.Get("Content-Range"), " ")
		first, _, _ := strings.Cut(rest, "-")
		if unit != "bytes" || first != strconv.FormatInt(r.next, 10) {
			return fmt.Errorf("the server does not answer with the range that was asked for")
		}
	}
	if r.left > length {
		return minio.ErrorResponse{Code: "InvalidRange", StatusCode: http.StatusRequestedRangeNotSatisfiable}
	}
	if r.left >= 0 && r.left < length {
		return fmt.Errorf("the server answers with more than the range that was asked for")
	}
	r.left = length
	if r.etag == "" {
		r.etag = etag
	}
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for {
		switch {
		case r.closed:
			return 0, fmt.Errorf("%s: %w", r.bucket.subject(r.call), fs.ErrClosed)
		case r.ctx.Err() != nil:
			r.drop()
			return 0, r.bucket.ended(r.ctx, r.call)
		case r.left == 0:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		n, err := r.read(p)
		if n > 0 {
			// An error, if there is one, comes back with the next Read: what has arrived is good.
			r.failures = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err := r.resume(err); err != nil {
			return 0, err
		}
	}
}

// read takes what the current answer has, or opens the next one.
func (r *reader) read(p []byte) (int, error) {
	if r.body == nil {
		if err := r.open(r.ctx); err != nil {
			return 0, err
		}
	}
	r.dog.feed()
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.dog.pause()
	r.next += int64(n)
	r.left -= int64(n)
	if r.left == 0 {
		r.drop()
		return n, nil
	}
	if err == io.EOF {
		err = errShort
	}
	return n, err
}

// resume gets ready for another answer after one has broken, or returns the error that ends the reading.
func (r *reader) resume(err error) error {
	if r.dog != nil {
		err = cause(r.dog.ctx, err)
	}
	r.drop()
	if minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
		return r.bucket.explain(r.call, failure{sentinel: errors.New("the object was replaced while it was being read"), advice: "read it again"}, 1)
	}
	if r.etag == "" && r.next > r.first {
		// Nothing would tell the rest of this version from the rest of another.
		return r.bucket.explain(r.call, classify(err, r.bucket.facts(r.call)), 1)
	}
	r.failures++
	return r.bucket.again(r.ctx, r.call, r.failures, err)
}

// drop lets go of the current answer.
func (r *reader) drop() {
	if r.body != nil {
		_ = r.body.Close() // what has been read has been counted; there is nothing left to fail
		r.dog.release()
		r.body, r.dog = nil, nil
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.drop()
	r.closed = true
	return nil
}

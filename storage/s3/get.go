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

// errShort: an answer ended before the requested bytes.
var errShort = errors.New("the answer is too short")

// errReplaced: an answer belongs to another version of the object.
var errReplaced = errors.New("the object was replaced while it was being read")

// version distinguishes versions of an object.
type version struct {
	etag, modified string
	size           string // "" if unknown
}

// strong reports whether the server can be asked for exactly this version, by its tag.
func (v version) strong() bool { return v.etag != "" && !strings.HasPrefix(v.etag, "W/") }

// known reports whether anything distinguishes this version.
func (v version) known() bool { return v.etag != "" || v.modified != "" }

// is compares what both versions have. Some services have no tags, or give weak ones; an object of ours is named after
// its content.
func (v version) is(other version) bool {
	plain := func(etag string) string { return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`) }
	if a, b := plain(v.etag), plain(other.etag); a != "" && b != "" && a != b {
		return false
	}
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return !differ(v.modified, other.modified) && !differ(v.size, other.size)
}

// contentRange reads the header of that name: "bytes 0-3/10", where the size may be "*".
func contentRange(text string) (first, end int64, size string, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	part, size, _ := strings.Cut(text, "/")
	from, to, _ := strings.Cut(part, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	end, endErr := strconv.ParseInt(to, 10, 64)
	if size == "*" {
		size = ""
	}
	return first, end, size, ok && err == nil && endErr == nil && end >= first
}

// Get implements storage.Bucket.
func (b *Bucket) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	c := call{"get", name, actionGet}
	if err := b.check(c); err != nil {
		return nil, err
	}
	// S3 has no empty ranges, and does not distinguish an end beyond the object's end from one at it.
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

// nothing answers requests for empty ranges. Only the object's size tells those inside the object from those outside.
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

// reader reads a range of an object, with as many requests as it takes.
type reader struct {
	ctx    context.Context
	bucket *Bucket
	call   call
	first  int64 // offset of the range in the object
	next   int64 // offset of the next byte
	left   int64 // bytes still to come; negative until an answer has said how many

	begun    bool    // there was an answer
	version  version // of the object that is being read
	distrust bool    // the server refuses If-Match, whatever tag it names

	body     io.ReadCloser // nil while there is none
	dog      *watchdog
	failures int // in a row
	closed   bool
}

// open asks for the rest of the range, in one attempt.
func (r *reader) open(ctx context.Context) error {
	var options minio.GetObjectOptions
	switch {
	case r.left >= 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-%d", r.next, r.next+r.left-1))
	case r.next > 0:
		options.Set("Range", fmt.Sprintf("bytes=%d-", r.next))
	}
	if r.version.strong() && !r.distrust {
		if err := options.SetMatchETag(strings.Trim(r.version.etag, `"`)); err != nil {
			return err
		}
	}
	attempt, dog := watch(ctx, r.bucket.stall)
	dog.await(r.bucket.small) // for the answer's head, or the whole of a refusal
	body, _, header, err := r.bucket.client.GetObject(attempt, r.bucket.config.Bucket, r.call.name, options)
	if err == nil {
		err = r.accept(header)
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

// accept checks that an answer brings what was asked for, and notes what was unknown before.
func (r *reader) accept(header http.Header) error {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	now := version{etag: header.Get("ETag"), modified: header.Get("Last-Modified")}
	if now.modified == noTime {
		now.modified = ""
	}
	if r.next > 0 || r.left >= 0 {
		first, end, size, ok := contentRange(header.Get("Content-Range"))
		if !ok || first != r.next {
			return fmt.Errorf("the server does not answer with the range that was asked for")
		}
		if length < 0 {
			length = end - first + 1
		}
		now.size = size
	} else if length >= 0 {
		now.size = strconv.FormatInt(length, 10)
	}
	if r.begun && !r.version.is(now) {
		return errReplaced
	}
	if r.left > length && length >= 0 {
		return minio.ErrorResponse{Code: "InvalidRange", StatusCode: http.StatusRequestedRangeNotSatisfiable}
	}
	if r.left >= 0 && r.left < length {
		return fmt.Errorf("the server answers with more than the range that was asked for")
	}
	if !r.begun {
		r.begun, r.version = true, now
	}
	r.left = length
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
			// An error, if there is one, comes back with the next Read: the bytes that have arrived are good.
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

// read takes bytes from the current answer, or opens the next one.
func (r *reader) read(p []byte) (int, error) {
	if r.body == nil {
		if err := r.open(r.ctx); err != nil {
			return 0, err
		}
	}
	r.dog.feed()
	if r.left >= 0 {
		p = p[:min(int64(len(p)), r.left)]
	}
	n, err := r.body.Read(p)
	r.dog.pause()
	r.next += int64(n)
	if r.left < 0 {
		return n, r.ofUnknownLength(n, err)
	}
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

// ofUnknownLength checks, if an answer has not said how long it is, that its end is the object's end.
func (r *reader) ofUnknownLength(n int, err error) error {
	if n > 0 || !errors.Is(err, io.EOF) {
		return err
	}
	r.drop()
	info, err := r.bucket.stat(r.ctx, r.call)
	if err != nil {
		return &finalError{err}
	}
	if info.Size > r.next {
		return errShort
	}
	r.left = 0
	return nil
}

// finalError is ready to be shown: there were enough attempts.
type finalError struct{ err error }

// Error implements error.
func (e *finalError) Error() string { return e.err.Error() }

// Unwrap is for errors.Is.
func (e *finalError) Unwrap() error { return e.err }

// resume prepares for another answer after one has broken, or returns the error that ends the reading.
func (r *reader) resume(err error) error {
	if r.dog != nil {
		err = cause(r.dog.ctx, err)
	}
	r.drop()
	var final *finalError
	switch {
	case errors.As(err, &final):
		return final.err
	case minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed && !r.distrust:
		r.distrust = true // the tag of the next answer tells
		return nil
	case errors.Is(err, errReplaced):
		return r.bucket.explain(r.call, failure{sentinel: errReplaced, advice: "read it again"}, 1)
	}
	if r.begun && r.next > r.first && !r.version.known() {
		// Nothing would distinguish the rest of this version from the rest of another.
		return r.bucket.explain(r.call, classify(err, r.bucket.facts(r.call)), 1)
	}
	r.failures++
	return r.bucket.again(r.ctx, r.call, r.failures, err)
}

// drop closes the current answer.
func (r *reader) drop() {
	if r.body != nil {
		_ = r.body.Close() // the bytes that were read are counted; nothing is left to fail
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

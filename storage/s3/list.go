package s3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// pageSize is how many objects S3 lists at once.
const pageSize = 1000

// List implements storage.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	c := call{"list", prefix, actionList}
	if !storage.ValidPrefix(prefix) {
		if ctx.Err() != nil {
			return b.ended(ctx, c)
		}
		return nil // no object can have it
	}
	for last := ""; ; {
		page, err := b.page(ctx, c, last)
		if err != nil {
			return err
		}
		for _, object := range page {
			if ctx.Err() != nil {
				return b.ended(ctx, c)
			}
			// What others have put there under names that cannot be used here, like folders' own, is not ours.
			if !storage.ValidName(object.Key) {
				continue
			}
			if err := fn(storage.Info{Name: object.Key, Size: object.Size, Modified: object.LastModified}); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return b.ended(ctx, c)
		}
		if len(page) < pageSize {
			return nil
		}
		last = page[len(page)-1].Key
	}
}

// page returns up to pageSize objects with names after last; fewer are the last ones.
func (b *Bucket) page(ctx context.Context, c call, last string) (page []minio.ObjectInfo, err error) {
	err = b.try(ctx, c, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, b.small)
		defer cancel()
		page = page[:0]
		options := minio.ListObjectsOptions{Prefix: c.name, Recursive: true, StartAfter: last, MaxKeys: pageSize, FetchOwner: new(bool)}
		for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, options) {
			if object.Err != nil {
				return cause(ctx, object.Err)
			}
			page = append(page, object)
			if len(page) == pageSize {
				return nil
			}
		}
		return cause(ctx, ctx.Err()) // the iterator ends without a word when the context does
	})
	return page, err
}

// Folders implements storage.FolderLister.
func (b *Bucket) Folders(ctx context.Context, prefix string) ([]string, error) {
	if !storage.ValidFolderPrefix(prefix) {
		return nil, fmt.Errorf("list folders below %q in %s: %w", prefix, b, storage.ErrName)
	}
	var folders []string
	// It is not fetched page by page: what follows the name of a folder is, to some services, that folder again.
	err := b.try(ctx, call{"list", prefix, actionList}, func(ctx context.Context) error {
		ctx, dog := watch(ctx, b.small) // for each page
		defer dog.release()
		folders = folders[:0]
		options := minio.ListObjectsOptions{Prefix: prefix, FetchOwner: new(bool)}
		for object := range b.client.ListObjectsIter(ctx, b.config.Bucket, options) {
			dog.feed()
			if object.Err != nil {
				return cause(ctx, object.Err)
			}
			name, folder := strings.CutSuffix(strings.TrimPrefix(object.Key, prefix), "/")
			if folder && storage.ValidName(name) {
				folders = append(folders, name)
			}
		}
		return cause(ctx, ctx.Err())
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}

// errNoListing says that an answer is something else than the list of objects that was asked for.
var errNoListing = errors.New("it is no list of objects")

// listings is a transport that tells lists of objects from other XML. Any would be read as a list without objects: a page of
// something between here and the server would empty the bucket.
type listings struct{ http.RoundTripper }

func (l listings) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK || r.Method != http.MethodGet || !r.URL.Query().Has("list-type") {
		return response, err
	}
	response.Body = &listing{body: response.Body}
	return response, nil
}

// listing is the body of an answer that is to be a list of objects.
type listing struct {
	body   io.ReadCloser
	looked *bufio.Reader // at its beginning; nil before that
	err    error
}

// Read implements io.Reader.
func (l *listing) Read(p []byte) (int, error) {
	if l.looked == nil {
		const prolog = 512 // more than what comes before the name of the first element
		l.looked = bufio.NewReaderSize(l.body, prolog)
		if begin, err := l.looked.Peek(prolog); (err == nil || errors.Is(err, io.EOF)) && !bytes.Contains(begin, []byte("ListBucketResult")) {
			l.err = errNoListing
		}
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.looked.Read(p)
}

// Close implements io.Closer.
func (l *listing) Close() error { return l.body.Close() }

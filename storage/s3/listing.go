package s3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

const (
	// maxIdlePages is how many pages in a row may bring no new name: where very much was removed, some services go
	// through that page by page.
	maxIdlePages = 100
	// maxPages is how many pages of pageSize names any listing may have: a hundred million objects.
	maxPages = 100_000
)

// listingError says why a listing cannot be true.
type listingError string

// Error implements error.
func (e listingError) Error() string { return string(e) }

// errEndless: a listing does not end.
const errEndless = listingError("a listing does not end")

// plausible says what is wrong with a name in a listing of names with the prefix that come after last. seen are the
// names so far.
func plausible(name, prefix, last string, seen map[string]bool) error {
	switch {
	case !strings.HasPrefix(name, prefix):
		return stray(name, prefix)
	case name < last, seen[name]:
		return listingError(fmt.Sprintf("a listing does not go on after its last name but begins again, at %.100q", name))
	}
	return nil
}

// ofListing recognises what minio-go says about a page that announces more, but not how to get that.
func ofListing(err error) error {
	var response minio.ErrorResponse
	if errors.As(err, &response) && response.StatusCode == 0 && strings.Contains(response.Message, "Truncated") {
		return listingError("a listing has IsTruncated, and no NextContinuationToken to go on with")
	}
	return err
}

// stray is the error for a name that was not asked for.
func stray(name, prefix string) error {
	return listingError(fmt.Sprintf("a listing of what begins with %.100q holds %.100q", prefix, name))
}

// course follows a listing through its pages. Each page is a request of its own.
type course struct {
	token string // from the page before
	idle  int    // pages since the last new name
}

type courseKey struct{}

// withCourse counts the requests of one listing: those that are made with the context that it returns.
func withCourse(ctx context.Context) (context.Context, *course) {
	c := &course{}
	return context.WithValue(ctx, courseKey{}, c), c
}

// gain notes that there was a new name.
func (c *course) gain() { c.idle = 0 }

// next notes another request. It returns an error if the request will not bring the listing closer to its end.
func (c *course) next(token string) error {
	c.idle++
	if token != "" && token == c.token || c.idle > maxIdlePages {
		return errEndless
	}
	c.token = token
	return nil
}

// errNoListing says that an answer is not the list of objects that was asked for.
var errNoListing = errors.New("it is no list of objects")

// listings is a transport that tells lists of objects from other XML. Otherwise any XML would be read as an empty list:
// a page from something between us and the server would empty the bucket.
type listings struct{ http.RoundTripper }

func (l listings) RoundTrip(r *http.Request) (*http.Response, error) {
	if c, is := r.Context().Value(courseKey{}).(*course); is && r.URL.Query().Has("list-type") {
		if err := c.next(r.URL.Query().Get("continuation-token")); err != nil {
			return nil, err
		}
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK || r.Method != http.MethodGet || !r.URL.Query().Has("list-type") {
		return response, err
	}
	response.Body = &listing{body: response.Body}
	return response, nil
}

// listing is the body of an answer that should be a list of objects.
type listing struct {
	body   io.ReadCloser
	looked *bufio.Reader // at its beginning; nil before that
	err    error
}

// Read implements io.Reader.
func (l *listing) Read(p []byte) (int, error) {
	if l.looked == nil {
		const prolog = 512 // more than what precedes the name of the first element
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

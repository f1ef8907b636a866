package s3

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// candid is a transport that reads what minio-go ignores in an answer: the words of a refusal that is no XML, such as a
// proxy's, and an error in an answer that claims success. minio-go would take such an answer to a PUT for proof that
// the object is stored.
type candid struct{ http.RoundTripper }

// descriptionHeader is where minio-go takes a message from before it looks at the body.
const descriptionHeader = "X-Minio-Error-Desc"

// noTime stands for a time that the server does not give.
const noTime = "Thu, 01 Jan 1970 00:00:00 GMT"

// mostWords is how many bytes of an answer are read for words.
const mostWords = 4 << 10

// RoundTrip implements http.RoundTripper.
func (c candid) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil && response.Header.Get("Last-Modified") == "" {
		response.Header.Set("Last-Modified", noTime) // minio-go reads no answer without it
	}
	if err != nil || r.Method == http.MethodHead {
		return response, err
	}
	if location := response.Header.Get(
		"Location",
	); location != "" && response.StatusCode >= http.StatusMultipleChoices && response.StatusCode < http.StatusBadRequest &&
		!isError(peek(response)) {
		response.Header.Set(descriptionHeader, "it points to "+printable(location, 200))
	}
	if response.ContentLength == 0 {
		return response, nil
	}
	switch {
	case response.StatusCode >= http.StatusBadRequest:
		if begin := peek(response); !isError(begin) && response.Header.Get(descriptionHeader) == "" {
			if words := withoutTags(begin); words != "" {
				response.Header.Set(descriptionHeader, words)
			}
		}
	case response.StatusCode == http.StatusOK && mayHideError(r, response):
		begin := peek(response)
		if isError(begin) {
			response.StatusCode = http.StatusInternalServerError // unless the code in it says more
		} else if r.Method == http.MethodPut && bytes.Contains(bytes.ToLower(begin), []byte("<html")) {
			response.StatusCode = http.StatusBadGateway
			response.Header.Set(descriptionHeader, "a page, and not the answer of an S3 service: "+withoutTags(begin))
		}
	}
	return response, nil
}

// mayHideError leaves out the content of objects, unless its type is XML: only that can be an error.
func mayHideError(r *http.Request, response *http.Response) bool {
	return r.Method != http.MethodGet || r.URL.Query().Has("list-type") || strings.Contains(response.Header.Get("Content-Type"), "xml")
}

// peek returns the beginning of an answer's body, and leaves the body to be read.
func peek(response *http.Response) []byte {
	reader := bufio.NewReaderSize(response.Body, mostWords)
	begin, err := reader.Peek(mostWords)
	if err != nil && !errors.Is(err, io.EOF) {
		begin = nil // the reader meets the error
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{reader, response.Body}
	return begin
}

// isError recognises the XML of S3's errors.
func isError(begin []byte) bool {
	begin = bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(begin, []byte("<?")) {
		_, begin, _ = bytes.Cut(begin, []byte("?>"))
	}
	begin = bytes.TrimLeft(begin, " \t\r\n")
	return bytes.HasPrefix(begin, []byte("<Error>")) || bytes.HasPrefix(begin, []byte("<Error "))
}

// withoutTags is the text of a page, or of any other body, in one line.
func withoutTags(begin []byte) string {
	text := regexp.MustCompile(`(?is)<(script|style|head).*?</(script|style|head)>|<[^>]*>`).ReplaceAllString(string(begin), " ")
	return printable(text, 300)
}

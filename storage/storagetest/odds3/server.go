package odds3

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Refusal is an answer that refuses the request.
type Refusal struct {
	// Status is the HTTP status, Code and Message are what S3 adds. Without a Code, Message is the whole body.
	Status        int
	Code, Message string
	// Header is added to the answer's.
	Header http.Header
}

// Odds are the oddities of a server. The zero value has none.
type Odds struct {
	// PageSize is how many names one page of a listing holds at most; 0 means as many as the request asks for.
	PageSize int
	// SaysComplete makes every page say that nothing comes after it.
	SaysComplete bool
	// Hides says which objects no listing shows, although they are there.
	Hides func(name string) bool
	// IgnoresStart makes listings begin at the first name, whatever name the request wants to start after;
	// IgnoresToken, whatever page it wants to go on with.
	IgnoresStart, IgnoresToken bool
	// EmptyPages is how many pages without names come before each page with names, each with a token of its own. Below
	// 0 they do not end, and all have the same token.
	EmptyPages int
	// ShiftsNames makes listings give other names than the objects have.
	ShiftsNames func(name string) string
	// ChecksumStatus is the status of the answer to a request with a checksum header; 0 accepts the header.
	ChecksumStatus int
	// WantsMD5 makes the server refuse every PUT without Content-MD5, unless there is a checksum header.
	WantsMD5 bool
	// Archived says which objects are in an archive class: listings show them, but nobody can read them.
	Archived func(name string) bool
	// NoLength omits Content-Length when objects are read. CloseDelimited omits every sign of the end, as HTTP/1.0 did.
	NoLength, CloseDelimited bool
	// ETag makes the tag of an object; nil means its MD5. "" means no tag.
	ETag func(name string) string
	// BreakAfter is after how many bytes a download breaks off; 0 means never.
	BreakAfter int
	// DistrustsMatch makes the server refuse every If-Match.
	DistrustsMatch bool
	// Refuse, if set, is asked before anything else is done. If it returns an answer, that is sent.
	Refuse func(r *http.Request) *Refusal
}

// Server is the server. Its URL is the endpoint.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	odds     Odds
	objects  map[string]object // by bucket/name
	requests []string
}

type object struct {
	data   []byte
	stored time.Time
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{objects: map[string]object{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Set changes the oddities.
func (s *Server) Set(odds Odds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odds = odds
}

// Requests returns the requests since its last call, as "GET /bucket/name?query".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// IsList reports whether a request asks for a listing.
func IsList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	if s.odds.Refuse != nil {
		if refusal := s.odds.Refuse(r); refusal != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			refusal.write(w, r)
			return
		}
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case IsList(r):
		s.list(w, r, strings.TrimSuffix(key, "/"))
	case r.Method == http.MethodPut:
		s.put(w, r, key)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.get(w, r, key)
	}
}

// write sends the answer as S3 does; an answer to a HEAD has no body.
func (f Refusal) write(w http.ResponseWriter, r *http.Request) {
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	body := f.Message
	if f.Code != "" {
		w.Header().Set("Content-Type", "application/xml")
		body = xml.Header + "<Error><Code>" + f.Code + "</Code><Message>" + escaped(f.Message) + "</Message></Error>"
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	checksum := false
	for name := range r.Header {
		checksum = checksum || strings.HasPrefix(strings.ToLower(name), "x-amz-checksum-")
	}
	sum := md5.Sum(data)
	sent := r.Header.Get("Content-MD5")
	switch {
	case checksum && s.odds.ChecksumStatus != 0:
		Refusal{
			Status:  s.odds.ChecksumStatus,
			Code:    "NotImplemented",
			Message: "A header you provided implies functionality that is not implemented.",
		}.write(w, r)
	case s.odds.WantsMD5 && !checksum && sent == "":
		Refusal{
			Status: http.StatusBadRequest, Code: "InvalidRequest",
			Message: "Content-MD5 HTTP header is required for Put Object requests with Object Lock parameters",
		}.write(w, r)
	case sent != "" && sent != base64.StdEncoding.EncodeToString(sum[:]):
		Refusal{Status: http.StatusBadRequest, Code: "BadDigest", Message: "The Content-MD5 you specified did not match."}.write(w, r)
	default:
		s.objects[key] = object{data: data, stored: time.Now()}
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sum)))
	}
}

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

// Refusal is an answer that is none that was hoped for.
type Refusal struct {
	// Status is that of HTTP, Code and Message what S3 says beside it. Without a Code, Message is the whole body.
	Status        int
	Code, Message string
	// Header is added to the answer's.
	Header http.Header
}

// Odds are the oddities of a server. The zero value has none.
type Odds struct {
	// PageSize is how many names one page of a listing holds at most; 0 is as many as were asked for.
	PageSize int
	// SaysComplete has every page say that nothing comes after it.
	SaysComplete bool
	// Hides says which objects no listing shows, although they are there.
	Hides func(name string) bool
	// IgnoresStart has listings begin at the first name whatever they were asked to start after; IgnoresToken, whatever
	// page they were asked to go on with.
	IgnoresStart, IgnoresToken bool
	// EmptyPages is how many pages without a name come before each that has some, each with a token of its own. Below 0
	// they do not end, and all have the same token.
	EmptyPages int
	// ShiftsNames has listings give other names than the objects have.
	ShiftsNames func(name string) string
	// ChecksumStatus is that of the answer to whoever sends a checksum header; 0 takes them.
	ChecksumStatus int
	// WantsMD5 has every PUT without Content-MD5 refused, unless a checksum header is there.
	WantsMD5 bool
	// Archived says which objects are in an archive class: they are listed, and cannot be read.
	Archived func(name string) bool
	// NoLength leaves Content-Length out of what is read. CloseDelimited has nothing say where it ends, as HTTP/1.0 did.
	NoLength, CloseDelimited bool
	// ETag makes the tag of an object; nil is its MD5. "" is none.
	ETag func(name string) string
	// BreakAfter is how many bytes of a download come before it breaks off; 0 is all.
	BreakAfter int
	// DistrustsMatch has the server refuse every If-Match.
	DistrustsMatch bool
	// Refuse, if it gives an answer, is asked before anything else is done.
	Refuse func(r *http.Request) *Refusal
}

// Server is the server. Its URL is that of its endpoint.
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

// New starts a server, which ends with the test.
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

// Requests are those so far, as "GET /bucket/name?query", since the last call.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// IsList says of a request that it is one for a listing.
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

// write is an answer as S3's are, which to a HEAD has no body.
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
		return // whoever sent it has gone
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
		}.write(
			w,
			r,
		)
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

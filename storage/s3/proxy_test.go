package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands between a bucket and a real server, and treats requests as its fault says.
type proxy struct {
	t       *testing.T
	address string // of the server
	onward  *http.Transport
	server  *httptest.Server
	// over ends when the test does, and ends everything that stands still.
	over context.Context

	mu    sync.Mutex
	fault fault
	// applies chooses the requests that meet the fault; again says that the very same request was made before.
	applies func(kind string, again bool) bool
	seen    map[string]bool // requests
	met     map[string]bool // kinds of requests that have met the fault
}

// fault answers one request, badly.
type fault func(p *proxy, w http.ResponseWriter, r *http.Request)

// newProxy starts a proxy in front of a server that speaks plain HTTP. To its clients, the proxy is the server: their
// signatures contain the name that they have used.
func newProxy(t *testing.T, s *server) (*proxy, *server) {
	t.Helper()
	over, end := context.WithCancel(context.Background())
	p := &proxy{t: t, address: strings.TrimPrefix(s.endpoint, "http://"), over: over}
	p.meet(nil, nil)
	p.onward = s.transport(t)
	p.server = httptest.NewUnstartedServer(p)
	p.server.Listener = narrow{p.server.Listener}
	p.server.Start()
	t.Cleanup(func() {
		end()
		p.server.Close()
	})
	return p, &server{endpoint: p.server.URL, style: s.style}
}

// narrow is a listener whose connections buffer little unread data.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) { return small(n.Listener.Accept()) }

// small shrinks the buffers of a connection, so that a slow line is slow for senders.
func small(connection net.Conn, err error) (net.Conn, error) {
	if tcp, ok := connection.(*net.TCPConn); ok && err == nil {
		err = errors.Join(tcp.SetReadBuffer(64<<10), tcp.SetWriteBuffer(64<<10))
	}
	return connection, err
}

// meet makes requests meet a fault from now on, or none if f is nil: those that applies chooses.
func (p *proxy) meet(f fault, applies func(kind string, again bool) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.applies, p.seen, p.met = f, applies, map[string]bool{}, map[string]bool{}
}

// firstTime chooses every request the first time that it is made.
func firstTime(_ string, again bool) bool { return !again }

// kinds are the kinds of requests that have met the fault: "PUT data".
func (p *proxy) kinds() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.met))
}

// kindOf says what a request is about: its method and the folder of the object, or "list", or "folders" if it lists
// only folders.
func kindOf(r *http.Request) string {
	if query := r.URL.Query(); query.Get("delimiter") != "" {
		return "GET folders"
	} else if query.Has("list-type") {
		return "GET list"
	}
	for _, folder := range []string{"config", "keys", "locks", "index", "snapshots", "data"} {
		if strings.Contains(r.URL.Path+"/", "/"+folder+"/") {
			return r.Method + " " + folder
		}
	}
	return r.Method + " bucket"
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.choose(r)(p, w, r)
}

// choose says what happens to a request.
func (p *proxy) choose(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	what, kind := r.Method+r.URL.String()+r.Header.Get("Range"), kindOf(r)
	again := p.seen[what]
	p.seen[what] = true
	if p.fault == nil || !p.applies(kind, again) {
		return forward
	}
	p.met[kind] = true
	return p.fault
}

// ask sends a request on. If body is not nil, it replaces the request's own.
func (p *proxy) ask(r *http.Request, body io.Reader) (*http.Response, error) {
	onward := r.Clone(r.Context())
	onward.URL.Scheme, onward.URL.Host, onward.RequestURI = "http", p.address, ""
	if body != nil {
		onward.Body = io.NopCloser(body)
	}
	return p.onward.RoundTrip(onward)
}

// reply passes an answer back, with body in place of the answer's own.
func reply(w http.ResponseWriter, response *http.Response, body io.Reader) error {
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, err := io.Copy(w, body)
	return err
}

func forward(p *proxy, w http.ResponseWriter, r *http.Request) {
	response, err := p.ask(r, nil)
	if err != nil {
		refuse(w, http.StatusBadGateway, "InternalError")
		return
	}
	defer response.Body.Close()
	_ = reply(w, response, response.Body) // the client has gone
}

// whole returns a request's answer, and the answer's body.
func (p *proxy) whole(r *http.Request) (*http.Response, []byte) {
	response, err := p.ask(r, nil)
	if err != nil {
		return &http.Response{StatusCode: http.StatusBadGateway}, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return response, body
}

// The faults.

func busyServer(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusServiceUnavailable, "SlowDown")
}

// doneButDenied does what the request asks for and says that it has failed.
func doneButDenied(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.whole(r)
	refuse(w, http.StatusInternalServerError, "InternalError")
}

func denied(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusForbidden, "AccessDenied")
}

func reset(p *proxy, w http.ResponseWriter, _ *http.Request) { hangUp(p.t, w) }

// resetHalfway breaks the connection in the middle of the upload, or else of the answer.
func resetHalfway(p *proxy, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		hangUp(p.t, w)
		return
	}
	response, body := p.whole(r)
	_ = reply(w, response, bytes.NewReader(body[:len(body)/2]))
	_ = http.NewResponseController(w).Flush()
	hangUp(p.t, w)
}

// truncate ends the upload, or else the answer, silently in the middle.
func truncate(p *proxy, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		response, err := p.ask(r, io.LimitReader(r.Body, r.ContentLength/2))
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode < 300 && r.ContentLength > 1 {
				p.t.Errorf("the server took half of %s", r.URL.Path)
			}
		}
		refuse(w, http.StatusBadGateway, "InternalError")
		return
	}
	response, body := p.whole(r)
	_ = reply(w, response, bytes.NewReader(body[:len(body)/2])) // its length was announced, and the connection is closed
}

// flipUpload flips one bit of an upload.
func flipUpload(p *proxy, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	response, err := p.ask(r, bytes.NewReader(body))
	if err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		return
	}
	defer response.Body.Close()
	if r.Method == http.MethodPut && response.StatusCode < 300 {
		p.t.Errorf("the server took %s with a wrong bit", r.URL.Path)
	}
	_ = reply(w, response, response.Body)
}

// standStill stops reading an upload, or else stops in the middle of the answer, or before it.
func standStill(p *proxy, w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPut:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	case http.MethodGet:
		response, body := p.whole(r)
		_ = reply(w, response, bytes.NewReader(body[:len(body)/2]))
		_ = http.NewResponseController(w).Flush()
	}
	select {
	case <-r.Context().Done(): // the client has had enough
	case <-p.over.Done():
	case <-time.After(time.Minute):
		p.t.Errorf("%s %s waits for ever", r.Method, r.URL)
	}
	hangUp(p.t, w)
}

// crawl sends the answer, and reads uploads, at 4 MiB a second.
func crawl(p *proxy, w http.ResponseWriter, r *http.Request) {
	response, err := p.ask(r, slowly{p, r.Body})
	if err != nil {
		refuse(w, http.StatusBadGateway, "InternalError")
		return
	}
	defer response.Body.Close()
	_ = reply(w, response, slowly{p, response.Body})
}

type slowly struct {
	p    *proxy
	from io.Reader
}

func (s slowly) Read(b []byte) (int, error) {
	select {
	case <-time.After(time.Millisecond):
	case <-s.p.over.Done():
		return 0, net.ErrClosed
	}
	return s.from.Read(b[:min(len(b), 4<<10)])
}

// mail delivers uploads out of order, and keeps all of them to deliver them again.
type mail struct {
	mu      sync.Mutex
	held    chan struct{} // closed when the next pack has been delivered; nil if none is held
	late    []*http.Request
	bodies  [][]byte
	swapped int
}

// deliver holds every other pack back until one that came later has been delivered, or none comes.
func (m *mail) deliver(p *proxy, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	m.mu.Lock()
	m.late, m.bodies = append(m.late, r), append(m.bodies, body)
	overtaken := m.held
	if m.held = nil; overtaken == nil && kindOf(r) == "PUT data" {
		m.held = make(chan struct{})
	}
	mine := m.held
	m.mu.Unlock()
	if mine != nil {
		select {
		case <-mine:
			m.mu.Lock()
			m.swapped++
			m.mu.Unlock()
		case <-time.After(time.Second):
			m.mu.Lock()
			if m.held == mine {
				m.held = nil
			}
			m.mu.Unlock()
		}
	}
	response, err := p.ask(r, bytes.NewReader(body))
	if overtaken != nil {
		close(overtaken)
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, "InternalError")
		return
	}
	defer response.Body.Close()
	_ = reply(w, response, response.Body)
}

// deliverAgain repeats all deliveries, last first, and says how many there were and how many were out of order.
func (m *mail) deliverAgain(p *proxy) (late, swapped int) {
	for i := len(m.late) - 1; i >= 0; i-- {
		response, err := p.ask(m.late[i].WithContext(p.over), bytes.NewReader(m.bodies[i]))
		if err != nil || response.StatusCode != http.StatusOK {
			p.t.Errorf("%s again: %v, %v", m.late[i].URL.Path, response, err)
			continue
		}
		_ = response.Body.Close()
	}
	return len(m.late), m.swapped
}

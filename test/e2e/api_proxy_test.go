//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// apiProxy is a process's own connection to the API server. It counts what the process changes. It can hold one of
// these requests, so that the test can kill the process at it, and it can go away for a while: nobody else notices.
type apiProxy struct {
	kubeconfig string
	next       *httputil.ReverseProxy
	address    string

	mutex  sync.Mutex
	server *http.Server
	// stopAt is the number of the request that is never answered; carriedOut says that it reaches the API server.
	stopAt     int
	carriedOut bool
	writes     []string // all that the process has made
	dead       bool     // from stopAt on
	stopped    chan struct{}
}

// newProxy starts a proxy with the rights that stsbackup has.
func (s *scenario) newProxy() *apiProxy {
	s.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment.Operator)
	if err != nil {
		s.t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		s.t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &apiProxy{kubeconfig: filepath.Join(s.t.TempDir(), "kubeconfig"), address: "127.0.0.1:0", stopped: make(chan struct{})}
	p.next = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // a watch needs this
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	if err := p.open(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.away)
	through := clientcmdapi.NewConfig()
	through.Clusters["proxy"] = &clientcmdapi.Cluster{Server: "http://" + p.address}
	through.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	through.CurrentContext = "proxy"
	if err := clientcmd.WriteToFile(*through, p.kubeconfig); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// startThrough is start, through a proxy.
func (s *scenario) startThrough(p *apiProxy, args ...string) *process {
	s.t.Helper()
	return s.start(append(args, "--kubeconfig", p.kubeconfig)...)
}

// open makes the proxy answer, at its previous address.
func (p *apiProxy) open() error {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.address = listener.Addr().String()
	p.server = &http.Server{Handler: p}
	go func(server *http.Server) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Printf("the proxy before the API server: %v", err)
		}
	}(p.server)
	return nil
}

// away ends all connections, and refuses new ones.
func (p *apiProxy) away() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	_ = p.server.Close() // that is all we want
}

// changes reports whether a request changes an object of interest. A Lease expires by itself, so it does not count; nor
// does a question that happens to be a POST.
func changes(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Query().Has("dryRun") {
		return false
	}
	return !strings.Contains(r.URL.Path, "/leases") && !strings.HasSuffix(r.URL.Path, "reviews")
}

// brief describes a request in a word or two.
func brief(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 && len(parts) > i+2 {
		parts = parts[i+2:]
	} else if i := slices.Index(parts, "persistentvolumes"); i >= 0 {
		parts = parts[i : i+1]
	}
	if len(parts) > 1 && strings.HasPrefix(parts[1], "stsbackup-20") { // its name contains the operation's id
		parts = parts[:1]
	}
	return r.Method + " " + strings.Join(parts, "/")
}

// ServeHTTP passes a request on, until the process has to be stopped.
func (p *apiProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	passes, last := p.admit(r)
	switch {
	case passes && !last:
		p.next.ServeHTTP(w, r)
		return
	case passes:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.next.ServeHTTP(httptest.NewRecorder(), r)
	default:
		// Only after the body has been read to its end does the server notice the end of the connection.
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if last {
		close(p.stopped)
	}
	<-r.Context().Done()
}

// admit decides whether to pass a request on, and whether it is the last one of the process.
func (p *apiProxy) admit(r *http.Request) (passes, last bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.dead {
		return false, false
	}
	if !changes(r) {
		return true, false
	}
	p.writes = append(p.writes, brief(r))
	if len(p.writes) != p.stopAt {
		return true, false
	}
	p.dead = true
	return p.carriedOut, true
}

// seen returns what the process has changed so far.
func (p *apiProxy) seen() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.writes)
}

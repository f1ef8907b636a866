package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// apiServer is an API server that accepts whatever it gets. It can go away, and come back at the same address.
type apiServer struct {
	t       *testing.T
	http2   bool
	address string
	server  *httptest.Server
	mutex   sync.Mutex
	did     map[string]int
}

// start starts the server, or starts it again.
func (s *apiServer) start() {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.server = &httptest.Server{
		Listener:    listener,
		EnableHTTP2: s.http2,
		Config:      &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)},
	}
	s.server.StartTLS()
}

// stop breaks off all connections.
func (s *apiServer) stop() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// ServeHTTP returns what it gets.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mutex.Lock()
	s.did[r.Method+" "+filepath.Base(r.URL.Path)]++
	s.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write(data)
		return
	}
	fmt.Fprint(w, `{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"namespace": "demo", "name": "it"}}`)
}

func (s *apiServer) done(what string) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.did[what]
}

// connect connects to the server like the program does.
func (s *apiServer) connect() *Client {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "it",
"clusters": [{"name": "it", "cluster": {"server": "https://%s", "insecure-skip-tls-verify": true}}],
"users": [{"name": "it", "user": {"token": "it"}}],
"contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}`, s.address)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	c, _, err := Connect(path, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestConnectOutlivesARestart ends and restarts an API server during each kind of request, over both kinds of HTTP.
func TestConnectOutlivesARestart(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %t", http2), func(t *testing.T) {
			server := &apiServer{t: t, http2: http2, address: "127.0.0.1:0", did: map[string]int{}}
			server.start()
			defer func() { server.stop() }()
			c := server.connect()
			lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
			if err != nil {
				t.Fatal(err)
			}
			maps := c.Kube.CoreV1().ConfigMaps("demo")
			requests := map[string]func(context.Context) error{
				"GET it": func(ctx context.Context) error {
					_, err := maps.Get(ctx, "it", metav1.GetOptions{})
					return err
				},
				"PATCH it": func(ctx context.Context) error {
					_, err := maps.Patch(ctx, "it", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
					return err
				},
				"DELETE it": func(ctx context.Context) error { return maps.Delete(ctx, "it", metav1.DeleteOptions{}) },
				"POST configmaps": func(ctx context.Context) error {
					_, err := maps.Create(ctx, &corev1.ConfigMap{}, metav1.CreateOptions{})
					return err
				},
			}
			for what, request := range requests { // so that there are connections
				if err := request(lease.Context()); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			server.stop()
			if err := requests["GET it"](t.Context()); err == nil {
				t.Error("without a Lease, the server is there")
			}
			var all sync.WaitGroup
			for what, request := range requests {
				all.Go(func() {
					if err := request(lease.Context()); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			for !lease.belief.settling() {
				<-time.After(10 * time.Millisecond)
			}
			server.start()
			all.Wait()
			for what := range requests {
				if done := server.done(what); done != 2 {
					t.Errorf("%s arrived %d times, want once before and once after", what, done)
				}
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

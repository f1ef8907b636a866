//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/stsbackup/stsbackup/internal/cluster"
)

// TestLeaseWithDelays lets two compete for one Lease of the real API server, each through a proxy that delays requests
// and answers by up to 20 seconds; a request goes on even if nobody waits for it any more. Never do both believe at the
// same moment that they hold the Lease. At the end the proxy of the holder is cut off: the holder stops believing
// before the other begins to.
func TestLeaseWithDelays(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "delay")
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	ctx, cancel := context.WithCancel(s.ctx)
	r := &leaseRace{scenario: s, holders: []*leaseHolder{s.leaseHolder("first", seed), s.leaseHolder("second", seed+1)}}
	var all sync.WaitGroup
	for _, h := range r.holders {
		all.Go(func() { h.compete(ctx) })
	}
	defer all.Wait()
	defer cancel()

	r.watch("short delays, so that both get their turns", 20*time.Second, 500*time.Millisecond, nil)
	r.watch("delays of up to 20 s", time.Minute, 20*time.Second, nil)
	// Cut off the one that believes; the other one gets the Lease.
	var has, gets *leaseHolder
	r.watch("one has it", time.Minute, 100*time.Millisecond, func() bool {
		for i, h := range r.holders {
			if h.believes() {
				has, gets = h, r.holders[1-i]
			}
		}
		return has != nil
	})
	if has == nil {
		t.Fatal("nobody has the Lease, with short delays")
	}
	has.stay.Store(true)
	has.cut.Store(true)
	r.watch("the other one has it", time.Minute, 100*time.Millisecond, gets.believes)
	if !gets.believes() {
		t.Errorf("%s was cut off, and %s has not taken the Lease", has.name, gets.name)
	}
	gets.stay.Store(true)
	has.cut.Store(false)
	r.watch("the one that was cut off sees it", 30*time.Second, 100*time.Millisecond, has.lost)
	if !has.lost() {
		t.Errorf("%s does not see that %s has taken the Lease", has.name, gets.name)
	}
	for _, h := range r.holders {
		if h.turns.Load() == 0 {
			t.Errorf("%s never had the Lease", h.name)
		}
	}
}

// leaseRace is those that compete.
type leaseRace struct {
	*scenario
	holders []*leaseHolder
}

// watch checks continuously whether both believe that they hold the Lease, for the time d or until done says so.
// Meanwhile delays are up to most.
func (r *leaseRace) watch(phase string, d, most time.Duration, done func() bool) {
	r.t.Helper()
	for _, h := range r.holders {
		h.most.Store(int64(most))
	}
	begun, believed := time.Now(), map[string]time.Duration{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for last := begun; time.Since(begun) < d && (done == nil || !done()); {
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("%s: %v", phase, r.ctx.Err())
		case <-tick.C:
		}
		first, second := r.holders[0].believes(), r.holders[1].believes()
		if first && second {
			r.t.Fatalf("%s: after %s both believe that they have the Lease", phase, time.Since(begun))
		}
		now := time.Now()
		for i, believes := range []bool{first, second} {
			if believes {
				believed[r.holders[i].name] += now.Sub(last)
			}
		}
		last = now
	}
	r.t.Logf("%s: %s, of which it was believed in by %v; turns so far: %d, %d", phase, time.Since(begun).Round(time.Second), believed,
		r.holders[0].turns.Load(), r.holders[1].turns.Load())
}

// leaseHolder is one of them, with its connection to the API server.
type leaseHolder struct {
	name   string
	client *cluster.Client
	op     cluster.Operation
	next   http.RoundTripper // to the API server
	target string

	most  atomic.Int64 // delays are up to this many nanoseconds
	cut   atomic.Bool
	stay  atomic.Bool // do not give the Lease back
	turns atomic.Int64
	lease atomic.Pointer[cluster.Lease]

	mutex  sync.Mutex
	random *rand.Rand
}

// leaseHolder starts a proxy and connects through it.
func (s *scenario) leaseHolder(name string, seed uint64) *leaseHolder {
	s.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", environment.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	next, err := rest.TransportFor(config)
	if err != nil {
		s.t.Fatal(err)
	}
	h := &leaseHolder{
		name: name, next: next, target: config.Host, random: rand.New(rand.NewPCG(seed, 0)),
		op: cluster.Operation{ID: "20000101T000000Z-" + name, Kind: "backup", Namespace: s.Namespace, StatefulSet: "delayed"},
	}
	proxy := httptest.NewServer(h)
	s.t.Cleanup(proxy.CloseClientConnections)
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	through := clientcmdapi.NewConfig()
	through.Clusters["proxy"] = &clientcmdapi.Cluster{Server: proxy.URL}
	through.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	through.CurrentContext = "proxy"
	if err := clientcmd.WriteToFile(*through, path); err != nil {
		s.t.Fatal(err)
	}
	if h.client, _, err = cluster.Connect(path, ""); err != nil {
		s.t.Fatal(err)
	}
	return h
}

// compete takes the Lease, keeps it for some seconds, and gives it back, again and again.
func (h *leaseHolder) compete(ctx context.Context) {
	for ctx.Err() == nil {
		lease, err := h.client.Acquire(ctx, h.op, cluster.LeaseOptions{Holder: fmt.Sprint(h.name, " ", h.turns.Load())})
		if err != nil {
			wait(ctx, h.upTo(time.Second)) // somebody else holds the Lease, or the server has not answered
			continue
		}
		h.turns.Add(1)
		h.lease.Store(lease)
		wait(lease.Context(), h.upTo(15*time.Second))
		for h.stay.Load() && lease.Context().Err() == nil {
			wait(lease.Context(), time.Second)
		}
		giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		_ = lease.Release(giving) // a Lease that cannot be given back expires by itself
		cancel()
		if lease.Lost() == nil {
			h.lease.Store(nil)
		}
	}
}

func (h *leaseHolder) believes() bool {
	lease := h.lease.Load()
	return lease != nil && lease.Believed()
}

func (h *leaseHolder) lost() bool {
	lease := h.lease.Load()
	return lease != nil && lease.Lost() != nil
}

// upTo returns a random time.
func (h *leaseHolder) upTo(most time.Duration) time.Duration {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return time.Duration(h.random.Int64N(int64(most)))
}

// delay returns a random delay up to the present limit; most are short, so that somebody gets the Lease at all.
func (h *leaseHolder) delay() time.Duration {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return time.Duration(math.Pow(h.random.Float64(), 4) * float64(h.most.Load()))
}

// ServeHTTP is the proxy. It carries out every request that it has taken, even if nobody waits for it.
func (h *leaseHolder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	// The body has been read to its end, so the server notices the end of the connection.
	if h.cut.Load() {
		<-r.Context().Done()
		return
	}
	ctx := context.WithoutCancel(r.Context())
	if r.URL.Query().Has("watch") {
		ctx = r.Context()
	}
	there, back := h.delay(), h.delay()
	wait(ctx, there)
	request, err := http.NewRequestWithContext(ctx, r.Method, h.target+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	request.Header = r.Header
	response, err := h.next.RoundTrip(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	wait(r.Context(), back)
	if h.cut.Load() {
		<-r.Context().Done()
		return
	}
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(flushing{w}, response.Body)
}

// flushing passes on at once what is written; a watch needs this.
type flushing struct{ http.ResponseWriter }

// Write writes and flushes.
func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	return n, errors.Join(err, http.NewResponseController(f.ResponseWriter).Flush())
}

// wait waits for a time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

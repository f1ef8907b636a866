package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stsbackup/stsbackup/internal/wait"
)

// answers is a transport to an API server with fixed answers: one for each request, then the last again and again.
type answers struct {
	mutex sync.Mutex
	list  []func(*http.Request) (*http.Response, error)
	got   []string
}

// RoundTrip returns the next answer.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mutex.Lock()
	next := a.list[0]
	if len(a.list) > 1 {
		a.list = a.list[1:]
	}
	a.mutex.Unlock()
	response, err := next(r)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.got = append(a.got, r.Method)
	return response, err
}

// says answers with a status, after it has read the request.
func says(code int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if err := read(r); err != nil {
			return nil, err
		}
		response := &http.Response{
			StatusCode: code,
			Status:     http.StatusText(code),
			Header:     http.Header{},
			Body:       io.NopCloser(strings.NewReader(body)),
		}
		for _, name := range header {
			response.Header.Set(name, "1")
		}
		return response, nil
	}
}

// fails breaks off, after the request was read or before.
func fails(err error, sent bool) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if sent {
			if err := read(r); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
}

// hangs reads the request and never answers.
func hangs(r *http.Request) (*http.Response, error) {
	if err := read(r); err != nil {
		return nil, err
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func read(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	data, err := io.ReadAll(r.Body)
	if err == nil && string(data) != "{}" {
		return fmt.Errorf("the body is %q", data)
	}
	return err
}

// broken is an answer that breaks off.
func broken(r *http.Request) (*http.Response, error) {
	if err := read(r); err != nil {
		return nil, err
	}
	body := io.MultiReader(strings.NewReader(`{"kind":`), failing{})
	return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, nil
}

type failing struct{}

// Read fails.
func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// ask sends a request like client-go does, and returns the answer's status, or its error.
func ask(ctx context.Context, way http.RoundTripper, method, target string) (string, error) {
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://api"+target, body)
	if err != nil {
		return "", err
	}
	response, err := newFence(way).RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", string(data)), err
}

// TestFenceTriesAgain: the fence retries what may be done twice, and nothing else.
func TestFenceTriesAgain(t *testing.T) {
	ok, refused := says(200, "done"), fails(&url.Error{Op: "dial", Err: syscall.ECONNREFUSED}, false)
	reset := fails(&url.Error{Op: "read", Err: syscall.ECONNRESET}, true)
	down, balancer := says(503, "", "Retry-After"), says(502, "")
	etcd, webhook := says(500, "etcdserver: leader changed"), says(500, "failed calling webhook")
	for name, tt := range map[string]struct {
		method  string
		answers []func(*http.Request) (*http.Response, error)
		want    string // empty: the error
		times   int
	}{
		"refused":                   {"GET", []func(*http.Request) (*http.Response, error){refused, refused, ok}, "200 done", 3},
		"reset":                     {"GET", []func(*http.Request) (*http.Response, error){reset, ok}, "200 done", 2},
		"no answer":                 {"GET", []func(*http.Request) (*http.Response, error){hangs, ok}, "200 done", 2},
		"an answer that breaks off": {"GET", []func(*http.Request) (*http.Response, error){broken, ok}, "200 done", 2},
		"going down":                {"GET", []func(*http.Request) (*http.Response, error){down, ok}, "200 done", 2},
		"a load balancer":           {"GET", []func(*http.Request) (*http.Response, error){balancer, ok}, "200 done", 2},
		"its database":              {"GET", []func(*http.Request) (*http.Response, error){etcd, ok}, "200 done", 2},
		"no roles yet": {
			"GET", []func(*http.Request) (*http.Response, error){refused, says(403, ""), says(401, ""), ok}, "200 done", 4,
		},
		"a right that is missing":         {"GET", []func(*http.Request) (*http.Response, error){says(403, "no")}, "403 no", 1},
		"not found":                       {"GET", []func(*http.Request) (*http.Response, error){says(404, "no")}, "404 no", 1},
		"a webhook":                       {"PATCH", []func(*http.Request) (*http.Response, error){webhook}, "500 failed calling webhook", 1},
		"patch":                           {"PATCH", []func(*http.Request) (*http.Response, error){reset, balancer, etcd, ok}, "200 done", 4},
		"put":                             {"PUT", []func(*http.Request) (*http.Response, error){reset, ok}, "200 done", 2},
		"delete":                          {"DELETE", []func(*http.Request) (*http.Response, error){reset, ok}, "200 done", 2},
		"post that was not sent":          {"POST", []func(*http.Request) (*http.Response, error){refused, refused, ok}, "200 done", 3},
		"post that was turned away":       {"POST", []func(*http.Request) (*http.Response, error){down, ok}, "200 done", 2},
		"post that may have arrived":      {"POST", []func(*http.Request) (*http.Response, error){reset, ok}, "", 1},
		"post without an answer":          {"POST", []func(*http.Request) (*http.Response, error){hangs, ok}, "", 1},
		"post, behind a load balancer":    {"POST", []func(*http.Request) (*http.Response, error){balancer, ok}, "502 ", 1},
		"post, and its answer breaks off": {"POST", []func(*http.Request) (*http.Response, error){broken, ok}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := fakeCluster()
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				way := &answers{list: tt.answers}
				got, err := ask(lease.Context(), way, tt.method, "/api/v1/pods")
				if got != tt.want || (err != nil) != (tt.want == "") || len(way.got) != tt.times {
					t.Errorf("%q, %v after %d tries, want %q after %d", got, err, len(way.got), tt.want, tt.times)
				}
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestFenceIsPatient: the fence waits for as long as an outage may last, and says that it waits.
func TestFenceIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		c.host = "https://api"
		var told []string
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us", Waiting: func(m string) { told = append(told, m) }})
		if err != nil {
			t.Fatal(err)
		}
		refused := fails(&url.Error{Op: "dial", Err: syscall.ECONNREFUSED}, false)
		way := &answers{list: []func(*http.Request) (*http.Response, error){refused}}
		begun := time.Now()
		_, err = ask(lease.Context(), way, http.MethodGet, "/apis/snapshot")
		if took := time.Since(begun); !errors.Is(err, syscall.ECONNREFUSED) || took != outageLimit {
			t.Errorf("%v after %s", err, took)
		}
		if len(told) != 1 || !strings.Contains(told[0], "https://api does not answer GET /apis/snapshot (since ") ||
			!strings.Contains(told[0], "15m0s") {
			t.Errorf("was told %q", told)
		}
		told, way.list = nil, nil
		for range 12 {
			way.list = append(way.list, refused)
		}
		way.list = append(way.list, says(200, "done"))
		if got, err := ask(lease.Context(), way, http.MethodGet, "/apis/snapshot"); got != "200 done" || len(told) != 2 ||
			!strings.Contains(told[1], "again") {
			t.Errorf("%q, %v; was told %q", got, err, told)
		}
		ctx, cancel := context.WithCancel(lease.Context())
		time.AfterFunc(3*time.Second, cancel)
		way.list = []func(*http.Request) (*http.Response, error){refused}
		begun = time.Now()
		if _, err := ask(ctx, way, http.MethodGet, "/apis/snapshot"); !errors.Is(err, context.Canceled) || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %s, want that it ends with its context", err, time.Since(begun))
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestFenceWaitsForRoles: an API server comes back and knows all roles only after a while, or never: then the right is missing.
func TestFenceWaitsForRoles(t *testing.T) {
	for name, tt := range map[string]struct {
		knows time.Duration
		want  string
		took  time.Duration
	}{
		"slowly": {45 * time.Second, "200 done", 46 * time.Second},
		"never":  {time.Hour, "403 no", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := fakeCluster()
				lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				roles := func(r *http.Request) (*http.Response, error) {
					if time.Since(begun) <= tt.knows {
						return says(403, "no")(r)
					}
					return says(200, "done")(r)
				}
				way := &answers{
					list: []func(*http.Request) (*http.Response, error){fails(&url.Error{Op: "dial", Err: syscall.ECONNREFUSED}, false), roles},
				}
				got, err := ask(lease.Context(), way, http.MethodGet, "/api/v1/pods")
				if took := time.Since(begun); got != tt.want || took != tt.took {
					t.Errorf("%q, %v after %s, want %q after %s", got, err, took, tt.want, tt.took)
				}
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestFenceChangesNothingWithoutBelief: while somebody else might have the Lease, only reads go through.
func TestFenceChangesNothingWithoutBelief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := fakeCluster()
		away := outage(kube, apierrors.NewServiceUnavailable("down"))
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		begun := time.Now()
		<-time.After(leaseBelief)
		way := &answers{list: []func(*http.Request) (*http.Response, error){says(200, "done")}}
		if got, err := ask(lease.Context(), way, http.MethodGet, "/api/v1/pods"); got != "200 done" {
			t.Errorf("a read: %q, %v", got, err)
		}
		limited, cancel := context.WithTimeout(lease.Context(), time.Minute)
		defer cancel()
		if _, err := ask(limited, way, http.MethodDelete, "/api/v1/pods"); !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "nothing is changed while the Lease cannot be renewed") {
			t.Errorf("within a minute: %v", err)
		}
		time.AfterFunc(5*time.Minute, func() { away.Store(false) })
		if got, err := ask(lease.Context(), way, http.MethodDelete, "/api/v1/pods"); got != "200 done" || time.Since(begun) < 6*time.Minute {
			t.Errorf("when it is back: %q, %v after %s", got, err, time.Since(begun))
		}
		// The connection takes so long that the belief has ended by the time the request could be sent.
		grace, end := lease.Grace(t.Context(), time.Hour)
		defer end()
		away.Store(true)
		way.got = nil
		way.list = []func(*http.Request) (*http.Response, error){func(r *http.Request) (*http.Response, error) {
			<-time.After(20 * time.Second)
			return says(201, "written")(r)
		}, says(200, "done")}
		time.AfterFunc(time.Minute, func() { away.Store(false) })
		if got, err := ask(grace, way, http.MethodPost, "/api/v1/pods"); got != "200 done" || len(way.got) != 2 {
			t.Errorf("%q, %v; sent %v", got, err, way.got)
		}
		ctx := context.WithoutCancel(lease.Context())
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if got, err := ask(ctx, way, http.MethodDelete, "/api/v1/pods"); err == nil || !strings.Contains(err.Error(), "given back") {
			t.Errorf("after the release: %q, %v", got, err)
		}
	})
}

// TestFenceIsOpenWithoutLease: requests without a Lease pass unchanged.
func TestFenceIsOpenWithoutLease(t *testing.T) {
	way := &answers{list: []func(*http.Request) (*http.Response, error){says(503, "", "Retry-After"), says(200, "done")}}
	if got, err := ask(t.Context(), way, http.MethodGet, "/api/v1/pods"); got != "503 " || len(way.got) != 1 {
		t.Errorf("%q, %v after %d tries", got, err, len(way.got))
	}
}

// TestFenceLetsStreamsFlow: a watch lasts longer than any answer may take, and each event arrives at once.
func TestFenceLetsStreamsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		refused := fails(&url.Error{Op: "dial", Err: syscall.ECONNREFUSED}, false)
		for target, first := range map[string]func(*http.Request) (*http.Response, error){
			"/api/v1/pods?watch=true": hangs, "/api/v1/namespaces/demo/pods/mover/log?follow=true": refused,
		} {
			events, server := io.Pipe()
			way := &answers{list: []func(*http.Request) (*http.Response, error){first, func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: events}, nil
			}}}
			request, err := http.NewRequestWithContext(lease.Context(), http.MethodGet, "https://api"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := newFence(way).RoundTrip(request)
			if err != nil || len(way.got) != 2 {
				t.Fatalf("%v after %d tries", err, len(way.got))
			}
			time.AfterFunc(10*time.Minute, func() { _, _ = server.Write([]byte("event")) })
			event := make([]byte, 5)
			if _, err := io.ReadFull(response.Body, event); err != nil || string(event) != "event" {
				t.Errorf("%q, %v", event, err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestFenceKnowsNodes: a node that is away is not the API server, and requests to it are only for show.
func TestFenceKnowsNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := fakeCluster()
		lease, err := c.Acquire(t.Context(), testOperation(), LeaseOptions{Holder: "us"})
		if err != nil {
			t.Fatal(err)
		}
		way := &answers{list: []func(*http.Request) (*http.Response, error){says(502, "no node"), func(r *http.Request) (*http.Response, error) {
			if err := wait.For(r.Context(), 10*time.Minute); err != nil { // the node answers when it has something to say
				return nil, err
			}
			return says(200, "a line")(r)
		}}}
		for _, want := range []string{"502 no node", "200 a line"} {
			if got, err := ask(lease.Context(), way, http.MethodGet, "/api/v1/namespaces/demo/pods/mover/log"); got != want {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// outageRetry is the pause before asking the API server again.
	outageRetry = time.Second
	// outageTold is how long a request waits before a person is told.
	outageTold = 10 * time.Second
	// outageSettles is for how long an API server that has come back may refuse requests that it will allow later: it answers
	// before it knows all roles and tokens. Where everything starts at once, loading them takes more than ten seconds.
	outageSettles = time.Minute
	// readAnswer and writeAnswer are how long a request may take. The API server itself gives up on requests that
	// take a minute, and for a change we want the server's own answer. client-go also notices a connection that
	// died silently: it pings after 30 s of silence, and closes the connection after 15 s more.
	readAnswer  = awaitAnswer
	writeAnswer = 65 * time.Second
)

// errNotBelieved ends a request if the Lease is not believed in at the moment at which the request would be sent.
var errNotBelieved = errors.New("the Lease is not believed in")

var _ utilnet.RoundTripperWrapper = (*fence)(nil)

// fence is the transport to the API server for requests under a Lease; other requests pass it unchanged.
//
//   - It sends a request that changes something only while the Lease is believed in, and waits otherwise. It checks
//     once more when it has a connection and is about to write the request.
//   - It retries requests that fail because the API server is out of reach, for as long as an outage may last. It
//     always retries reads. It also retries changes, because ours can be made twice: patches with values, deletions and
//     updates with the UID or version that they mean. It retries a creation only if the request was surely not sent.
type fence struct{ next http.RoundTripper }

// newFence wraps a transport, in the form that rest.Config takes.
func newFence(next http.RoundTripper) http.RoundTripper { return &fence{next: next} }

// WrappedRoundTripper gives others access to the transport below.
func (f *fence) WrappedRoundTripper() http.RoundTripper { return f.next }

// RoundTrip sends a request, now or later.
func (f *fence) RoundTrip(request *http.Request) (*http.Response, error) {
	lease := leaseIn(request.Context())
	if lease == nil {
		return f.next.RoundTrip(request)
	}
	if request.Body != nil {
		defer request.Body.Close()
	}
	c := &call{next: f.next, lease: lease, request: request, reads: request.Method == http.MethodGet || request.Method == http.MethodHead}
	return c.do()
}

// call is one request under a Lease.
type call struct {
	next    http.RoundTripper
	lease   *Lease
	request *http.Request
	reads   bool
	// sent says that the transport has begun to send the body of the last attempt.
	sent atomic.Bool

	since time.Time // of the first failure
	told  bool
}

// do retries until there is an answer, or until patience ends.
func (c *call) do() (*http.Response, error) {
	ctx, now := c.request.Context(), c.lease.client.now
	for {
		if !c.reads {
			if err := c.lease.awaitBelief(ctx); err != nil {
				return nil, fmt.Errorf("%s %s: %w", c.request.Method, c.request.URL.Path, err)
			}
		}
		response, body, err := c.attempt()
		away := c.away(response, body, err)
		switch {
		case away == nil:
			c.tellBack()
			return response, err
		case ctx.Err() != nil:
			return nil, c.ended(ctx, away)
		case !c.repeatable(response) || c.lease.kept.Err() != nil:
			return response, err
		}
		if c.since.IsZero() {
			c.since = now()
		}
		if !settles(response) {
			c.lease.belief.unreached()
		}
		if now().Sub(c.since) >= outageLimit {
			return response, err
		}
		c.tell(away)
		if wait.For(ctx, outageRetry) != nil {
			return nil, c.ended(ctx, away)
		}
	}
}

// ended is the error of a request whose context ended while it waited.
func (c *call) ended(ctx context.Context, away error) error {
	cause := context.Cause(ctx)
	if errors.Is(away, cause) {
		return away
	}
	return fmt.Errorf("%w (%w)", cause, away)
}

// attempt sends the request once. It reads an answer that is not a stream to its end, because an answer can break off, too.
func (c *call) attempt() (response *http.Response, body []byte, err error) {
	limit := writeAnswer
	if c.reads {
		limit = readAnswer
	}
	ctx, cancel := context.WithCancelCause(c.request.Context())
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w (%s)", errNoAnswer, limit)) })
	if c.asksNode() {
		timer.Stop() // until a mover logs something, the answer with its log does not begin
	}
	request, err := c.copy(ctx)
	if err == nil {
		response, err = c.next.RoundTrip(request)
	}
	if err == nil && c.streams() {
		timer.Stop()
		response.Body = &closer{ReadCloser: response.Body, also: func() { cancel(nil) }}
		return response, nil, nil
	}
	if err == nil {
		body, err = io.ReadAll(response.Body)
		_ = response.Body.Close() // it has been read
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNoAnswer) {
		err = cause
	}
	timer.Stop()
	cancel(nil)
	if err != nil {
		return nil, nil, err
	}
	return response, body, nil
}

// copy is the request with a body of its own, which is sent only while the Lease is believed in.
func (c *call) copy(ctx context.Context) (*http.Request, error) {
	request := c.request.Clone(ctx)
	c.sent.Store(c.request.Body == nil) // without a body, nobody knows whether it was sent
	if c.request.Body == nil || c.reads {
		return request, nil
	}
	request.Body = &guarded{ReadCloser: c.request.Body, call: c}
	if c.request.GetBody == nil {
		return request, nil
	}
	request.GetBody = func() (io.ReadCloser, error) {
		body, err := c.request.GetBody()
		return &guarded{ReadCloser: body, call: c}, err
	}
	body, err := request.GetBody()
	request.Body = body
	return request, err
}

// streams reports whether the answer to the request goes on for as long as somebody reads it.
func (c *call) streams() bool { return c.request.URL.Query().Has("watch") || c.asksNode() }

// asksNode reports whether the API server passes the request on to a node. A failure of the node says nothing about the API server.
func (c *call) asksNode() bool {
	return slices.ContainsFunc([]string{"/log", "/exec", "/attach", "/portforward", "/proxy"}, func(end string) bool {
		return strings.HasSuffix(c.request.URL.Path, end)
	})
}

// repeatable reports whether the request may be sent again after it failed, or after this response.
func (c *call) repeatable(response *http.Response) bool {
	switch {
	case c.request.Body != nil && c.request.GetBody == nil && !c.reads:
		return false
	case c.asksNode() && response != nil:
		return false
	case c.request.Method != http.MethodPost:
		return true
	default:
		return response != nil || !c.sent.Load()
	}
}

// away says how an attempt shows that the API server is out of reach; nil if it does not show that.
func (c *call) away(response *http.Response, body []byte, err error) error {
	if err != nil {
		return err
	}
	said := fmt.Errorf("it says %s", response.Status)
	post := c.request.Method == http.MethodPost
	switch response.StatusCode {
	case http.StatusServiceUnavailable:
		// Retry-After means that the server did nothing, whatever the request; client-go reads it the same way.
		if !post || response.Header.Get("Retry-After") != "" {
			return said
		}
	case http.StatusBadGateway, http.StatusGatewayTimeout: // from a load balancer without servers
		if !post {
			return said
		}
	case http.StatusInternalServerError: // webhooks answer like this, too
		if !post && (bytes.Contains(body, []byte("etcdserver: ")) || bytes.Contains(body, []byte("rpc error: code = Unavailable"))) {
			return said
		}
	}
	if settles(response) && c.lease.belief.settling() {
		return said
	}
	return nil
}

// settles reports whether an API server answers like this while it is still starting. It has then done nothing.
func settles(response *http.Response) bool {
	return response != nil &&
		slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, response.StatusCode)
}

// tell tells a person that the request waits, unless somebody has already said that the API server is away.
func (c *call) tell(away error) {
	if c.told || !c.lease.Believed() || c.lease.client.now().Sub(c.since) < outageTold {
		return
	}
	c.told = true
	c.lease.note(fmt.Sprintf("%s does not answer %s %s (since %s: %s): waiting for up to %s; movers that run go on",
		c.lease.client.server(), c.request.Method, c.request.URL.Path, clock(c.since), away, outageLimit))
}

// tellBack says that the wait is over.
func (c *call) tellBack() {
	if c.told {
		c.lease.note(fmt.Sprintf("%s answers %s %s again", c.lease.client.server(), c.request.Method, c.request.URL.Path))
	}
}

// guarded is the body of a request that changes something. The transport reads it once it has a connection,
// perhaps long after the request was made. Without the body, the request is incomplete.
type guarded struct {
	io.ReadCloser
	call *call
}

// Read returns nothing while the Lease is not believed in.
func (g *guarded) Read(p []byte) (int, error) {
	if !g.call.lease.Believed() {
		return 0, errNotBelieved
	}
	g.call.sent.Store(true)
	return g.ReadCloser.Read(p)
}

// closer runs a function as well when it is closed.
type closer struct {
	io.ReadCloser
	also func()
}

// Close closes the body and runs the function.
func (c *closer) Close() error {
	defer c.also()
	return c.ReadCloser.Close()
}

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
	// outageRetry is the pause before the API server is asked again.
	outageRetry = time.Second
	// outageTold is how long a request waits before a person is told.
	outageTold = 10 * time.Second
	// outageSettles is for how long an API server that has come back may refuse what it will allow: it answers before it
	// knows all roles and tokens, and where everything starts at once that takes it more than ten seconds.
	outageSettles = time.Minute
	// readAnswer and writeAnswer are how long a request may take. The API server itself gives up what takes a minute, and
	// of what changes something its own word is wanted. A connection that has died without a word is also noticed by
	// client-go, which asks after 30 s of silence whether somebody is there, and closes it after 15 s more.
	readAnswer  = awaitAnswer
	writeAnswer = 65 * time.Second
)

// errNotBelieved ends a request that found the Lease not believed in at the moment at which it would have been sent.
var errNotBelieved = errors.New("the Lease is not believed in")

var _ utilnet.RoundTripperWrapper = (*fence)(nil)

// fence is the way to the API server of what is done under a Lease; the rest passes.
//
//   - What changes something is sent only while the Lease is believed in, and else waits for that. It is looked at once
//     more when a connection is there and the request is about to be written.
//   - What fails because the API server is out of reach is tried again, for as long as an outage may last. Reads always; what
//     changes something too, for what we send can be done twice: patches with values, deletions and updates with the UID
//     or version that is meant. Something is created again only if the request for it was surely not sent.
type fence struct{ next http.RoundTripper }

// newFence wraps a transport, as rest.Config has it.
func newFence(next http.RoundTripper) http.RoundTripper { return &fence{next: next} }

// WrappedRoundTripper gives others the transport below.
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
	// sent: the transport has begun to send the body of the last attempt.
	sent atomic.Bool

	since time.Time // of the first failure
	told  bool
}

// do tries until there is an answer, or until patience ends.
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

// ended is the error of a request whose context has ended while it waited.
func (c *call) ended(ctx context.Context, away error) error {
	cause := context.Cause(ctx)
	if errors.Is(away, cause) {
		return away
	}
	return fmt.Errorf("%w (%w)", cause, away)
}

// attempt sends the request once. What is not a stream is read to its end, because an answer can break off, too.
func (c *call) attempt() (response *http.Response, body []byte, err error) {
	limit := writeAnswer
	if c.reads {
		limit = readAnswer
	}
	ctx, cancel := context.WithCancelCause(c.request.Context())
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w (%s)", errNoAnswer, limit)) })
	if c.asksNode() {
		timer.Stop() // the log of one that says nothing has no beginning either
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

// copy is the request with a body of its own, which is only sent while the Lease is believed in.
func (c *call) copy(ctx context.Context) (*http.Request, error) {
	request := c.request.Clone(ctx)
	c.sent.Store(c.request.Body == nil) // nobody knows
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

// streams reports whether the answer to the request goes on for as long as somebody listens.
func (c *call) streams() bool { return c.request.URL.Query().Has("watch") || c.asksNode() }

// asksNode reports whether the API server asks a node in turn. What that fails by says nothing about the API server.
func (c *call) asksNode() bool {
	return slices.ContainsFunc([]string{"/log", "/exec", "/attach", "/portforward", "/proxy"}, func(end string) bool {
		return strings.HasSuffix(c.request.URL.Path, end)
	})
}

// repeatable reports whether the request may be sent again after it failed, or was answered like this.
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

// away says in what way an attempt shows that the API server is out of reach; nil if it does not.
func (c *call) away(response *http.Response, body []byte, err error) error {
	if err != nil {
		return err
	}
	said := fmt.Errorf("it says %s", response.Status)
	post := c.request.Method == http.MethodPost
	switch response.StatusCode {
	case http.StatusServiceUnavailable:
		// With Retry-After nothing was done, whatever was asked; client-go takes it so, too.
		if !post || response.Header.Get("Retry-After") != "" {
			return said
		}
	case http.StatusBadGateway, http.StatusGatewayTimeout: // of a load balancer without servers
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

// settles reports whether an answer is one that an API server gives while it is not quite back. Nothing was done then.
func settles(response *http.Response) bool {
	return response != nil &&
		slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, response.StatusCode)
}

// tell says to a person that the request waits, if nobody has said yet that the API server is away.
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

// guarded is the body of a request that changes something. It is read when there is a connection to send it on, which may be
// long after the request was made; without it the request is none.
type guarded struct {
	io.ReadCloser
	call *call
}

// Read gives nothing while the Lease is not believed in.
func (g *guarded) Read(p []byte) (int, error) {
	if !g.call.lease.Believed() {
		return 0, errNotBelieved
	}
	g.call.sent.Store(true)
	return g.ReadCloser.Read(p)
}

// closer does something more when it is closed.
type closer struct {
	io.ReadCloser
	also func()
}

// Close closes, and does it.
func (c *closer) Close() error {
	defer c.also()
	return c.ReadCloser.Close()
}

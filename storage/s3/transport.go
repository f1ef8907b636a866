package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// How long to wait for things that should not take long.
const (
	connectTimeout   = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// answerTimeout is between the last byte of a request and the first byte of its answer. After a large PUT the
	// server may have to write everything down first.
	answerTimeout = time.Minute
	idleTimeout   = 90 * time.Second
	// stallTimeout is between one part of a body and the next.
	stallTimeout = time.Minute
	// smallTimeout is for a whole request whose answer is small, and for the answer to a large one.
	smallTimeout = 2 * time.Minute

	// idleConnections is more than one process has requests open at once.
	idleConnections = 64
	socketBuffer    = 64 << 10
)

// cautious is a transport that can wait for the server's consent before it sends a request's body.
//
// A server that refuses a large PUT may close the connection before everything has been sent, and then the refusal is
// easily lost in the broken pipe. After that has happened, the next attempt asks first: see withConsent.
type cautious struct{ http.RoundTripper }

func (c cautious) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Value(consentKey{}) != nil && r.ContentLength > 0 {
		r = r.Clone(r.Context())
		r.Header.Set("Expect", "100-continue")
	}
	return c.RoundTripper.RoundTrip(r)
}

type consentKey struct{}

// withConsent makes requests ask before they send their bodies.
func withConsent(ctx context.Context) context.Context {
	return context.WithValue(ctx, consentKey{}, true)
}

// newTransport makes the transport. It also trusts the certificates in caFile, unless that is "", and uses the proxy
// that the environment names.
func newTransport(caFile string, getenv func(string) string) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		WriteBufferSize:       socketBuffer,
		ReadBufferSize:        socketBuffer,
		// Objects must come as they are stored.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
	}
	proxy := proxyOf(getenv)
	transport.Proxy = func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
	transport.OnProxyConnectResponse = refusedByProxy
	if caFile == "" {
		return transport, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without its own certificates trusts only these
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificates (ca= or AWS_CA_BUNDLE): %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the CA certificates (ca= or AWS_CA_BUNDLE): %s holds no certificate in PEM", caFile)
	}
	transport.TLSClientConfig.RootCAs = pool
	return transport, nil
}

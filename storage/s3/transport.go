package s3

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// How long to wait for what should not take long.
const (
	connectTimeout   = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// answerTimeout is between the last byte of a request and the first of its answer. After a large PUT the server
	// may have to write it all down first.
	answerTimeout = time.Minute
	idleTimeout   = 90 * time.Second
	// stallTimeout is between one part of a body and the next.
	stallTimeout = time.Minute
	// smallTimeout is for a whole request whose answer is small.
	smallTimeout = 2 * time.Minute

	// idleConnections is above the number of requests that one process has open at once.
	idleConnections = 64
	socketBuffer    = 64 << 10
)

// newTransport makes the transport, which trusts the certificates in caFile too if it is not "".
func newTransport(caFile string) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		WriteBufferSize:       socketBuffer,
		ReadBufferSize:        socketBuffer,
		// Objects are to come as they are stored.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile == "" {
		return transport, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without certificates of its own trusts only these
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

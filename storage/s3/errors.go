package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// facts help to explain a failure.
type facts struct {
	endpoint string
	bucket   string
	region   string // as configured
	action   string // as policies name it: s3:GetObject
	object   string // name or prefix
	access   string // which access key, and its source
	// temporary: the key belongs to a session, which ends.
	temporary bool
	wrote     bool   // with this key, objects have been written
	accepted  bool   // with this key, something has succeeded
	proxy     string // the proxy between us and the endpoint; "" if none
	blind     bool   // the key may not list either, so missing objects are denied to it
}

// resource is the object or bucket of the action.
func (f facts) resource() string {
	if f.action == actionList {
		return "bucket " + f.bucket
	}
	return f.bucket + "/" + f.object
}

// blindError is a denial to credentials that may not list.
type blindError struct{ err error }

// Error implements error.
func (e *blindError) Error() string { return e.err.Error() }

// Unwrap is for errors.As.
func (e *blindError) Unwrap() error { return e.err }

// failure is what an error means.
type failure struct {
	// sentinel is one of storage's, or the error itself if none fits.
	sentinel error
	// reason says what happened, advice what to do; either may be "".
	reason, advice string
	// transient: another attempt may succeed.
	transient bool
	// contended: the obstacle may be a folder that somebody else's object has just left, and be gone in a moment. Or a
	// bit changed on its way, which is unlikely to happen again.
	contended bool
	// silent: nothing answers at that address, or nothing that is S3. answer: something does.
	silent, answer bool
	// expired: new credentials may be there by now, or may come.
	expired bool
}

// classify says what the error of an attempt means. It ignores the context: the caller has found that the context has
// not ended.
func classify(err error, f facts) failure {
	var (
		response minio.ErrorResponse
		noKeys   *credentialsError
	)
	switch {
	case errors.As(err, &noKeys):
		return failure{sentinel: noKeys.err, transient: noKeys.transient}
	case errors.As(err, &response):
		var blind *blindError
		f.blind = errors.As(err, &blind)
		meaning := classifyResponse(response, f)
		meaning.answer = true
		if meaningOf(response) == proxyRefuses {
			return meaning
		}
		return meaning.byProxy(f)
	default:
		if failed, is := classifyProxy(err, f); is {
			return failed
		}
		return classifyConnection(err, f).byProxy(f)
	}
}

// classify says what it means that a service cannot list its objects.
func (e listingError) classify(f facts) failure {
	return failure{
		sentinel:  storage.ErrUnreachable,
		reason:    "the service at " + f.endpoint + " cannot be relied on: " + e.Error(),
		answer:    true,
		contended: true,
		advice: "see whether it, or what stands between, implements ListObjectsV2 with start-after and continuation-token; without it no " +
			"backup there can be relied on",
	}
}

// classifyConnection says what it means that there was no answer, or half of one.
func classifyConnection(err error, f facts) failure {
	if reason, advice := certificateProblem(err, f.endpoint); reason != "" {
		return failure{sentinel: storage.ErrUnreachable, reason: reason, advice: advice}
	}
	var (
		dns     *net.DNSError
		network net.Error
		request *url.Error
		dial    *net.OpError
	)
	var listing listingError
	if errors.As(err, &listing) {
		return listing.classify(f)
	}
	silent := failure{
		sentinel:  storage.ErrUnreachable,
		transient: true,
		silent:    true,
		advice:    "check endpoint= in the repository's URL, and that the service runs",
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		silent.reason = "there is no host " + dns.Name
		return silent
	case errors.As(err, &dns):
		silent.reason = "the name of host " + dns.Name + " cannot be looked up"
		return silent
	case errors.Is(err, syscall.ECONNREFUSED):
		silent.reason = "nothing listens at " + f.endpoint
		return silent
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		silent.reason = "there is no route to " + f.endpoint
		return silent
	case errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout():
		silent.reason = "nothing answers at " + f.endpoint
		return silent
	case errors.Is(err, errStalled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return failure{
			sentinel: storage.ErrUnreachable, reason: f.endpoint + " does not answer in time", transient: true,
			advice: "check endpoint= in the repository's URL, the network, and the service",
		}
	case errors.As(err, &request), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errShort):
		return failure{
			sentinel: storage.ErrUnreachable, reason: "the connection to " + f.endpoint + " breaks (" + innermost(err) + ")", transient: true,
			advice: "check the network and the service",
		}
	case garbled(err):
		return failure{
			// If nothing was ever understood, it is no S3 service; otherwise, something on the way has changed a
			// listing.
			sentinel:  storage.ErrUnreachable,
			reason:    "an answer of " + f.endpoint + " cannot be read (" + innermost(err) + ")",
			transient: true,
			silent:    true,
			advice:    "check that an S3 service is there, and that nothing between here and there changes the data",
		}
	}
	return failure{sentinel: err}
}

// garbled reports an answer that is not the expected XML: cut off, changed on its way, or somebody else's.
func garbled(err error) bool {
	var (
		syntax *xml.SyntaxError
		shape  xml.UnmarshalError
		number *strconv.NumError
		moment *time.ParseError
		escape url.EscapeError
	)
	return errors.Is(err, errNoListing) || errors.Is(err, io.EOF) || errors.As(err, &syntax) || errors.As(err, &shape) ||
		errors.As(err, &number) ||
		errors.As(err, &moment) ||
		errors.As(err, &escape)
}

// certificateProblem says why TLS fails; "" if it does not.
func certificateProblem(err error, endpoint string) (reason, advice string) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return "the TLS certificate of " + endpoint + " is signed by an unknown authority", "give that authority's certificate with ca=FILE or " +
			"AWS_CA_BUNDLE"
	case errors.As(err, &name):
		return "the TLS certificate of " + endpoint + " is for another name (" + name.Error() + ")", "use the name in the certificate; with " +
			"virtual-host style, path-style=true may help"
	case errors.As(err, &invalid):
		return "the TLS certificate of " + endpoint + " cannot be used (" + invalid.Error() + ")", "renew it"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return endpoint + " speaks plain HTTP", "write endpoint=" + strings.Replace(endpoint, "https:", "http:", 1)
	case errors.As(err, &alert):
		return endpoint + " refuses TLS (" + alert.Error() + ")", "check the service's TLS settings"
	}
	return "", ""
}

// innermost is the text of the error at the bottom of a chain, which says what matters.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

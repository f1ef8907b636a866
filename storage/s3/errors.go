package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// facts is what a failure is explained with.
type facts struct {
	endpoint string
	bucket   string
	region   string // as configured
	action   string // as policies name it: s3:GetObject
	object   string // name or prefix
	access   string // which access key, and where it is from
	// temporary: the key is one of a session, which ends.
	temporary bool
	wrote     bool // with it, objects have been written
}

// resource is what the action was on.
func (f facts) resource() string {
	if f.action == actionList {
		return "bucket " + f.bucket
	}
	return f.bucket + "/" + f.object
}

// failure is what an error means.
type failure struct {
	// sentinel is one of storage's, or the error itself where none fits.
	sentinel error
	// reason says what happened, advice what to do; either may be "".
	reason, advice string
	// transient: another attempt may succeed.
	transient bool
	// contended: what is in the way may be a folder that somebody else's object has just left, and be gone in a moment; or it
	// was a bit that was changed on its way, and is not likely to be changed again.
	contended bool
	// silent: nothing answers at that address, or nothing that is S3. answer: something does.
	silent, answer bool
	// expired: new credentials may be there by now, or come.
	expired bool
}

// classify says what the error of an attempt means. It knows nothing of the context: whoever calls it has found that
// that has not ended.
func classify(err error, f facts) failure {
	var (
		response minio.ErrorResponse
		noKeys   *credentialsError
	)
	switch {
	case errors.As(err, &noKeys):
		return failure{sentinel: noKeys.err, transient: noKeys.transient}
	case errors.As(err, &response):
		meaning := classifyResponse(response, f)
		meaning.answer = true
		return meaning
	default:
		return classifyConnection(err, f)
	}
}

// meaning is what an answer of a server comes down to.
type meaning int

const (
	unknown meaning = iota
	noObject
	noBucket
	badRange
	badName
	inTheWay // something that is no object
	full
	busy    // also: has failed, and may not fail again
	damaged // something between here and there has changed the data
	plainText
	skewedClock
	badSignature
	badToken
	expiredToken
	unknownKey
	otherRegion
	forbidden
)

// meaningOf reads the code of an answer, which S3, MinIO and versitygw have many of, and failing that its status.
func meaningOf(r minio.ErrorResponse) meaning {
	switch r.Code {
	case "NoSuchKey":
		return noObject
	case "NoSuchBucket", "InvalidBucketName":
		return noBucket
	case "InvalidRange":
		return badRange
	case "KeyTooLongError", "XMinioInvalidObjectName", "XMinioObjectExistsAsDirectory", "XMinioParentIsObject",
		"ObjectParentIsFile", "DirectoryObjectContainsData":
		return badName
	case "ExistingObjectIsDirectory":
		return inTheWay
	case "XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded":
		return full
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"RequestThrottled", "InternalError", "ServiceUnavailable", "XMinioServerNotInitialized", "OperationAborted":
		return busy
	case "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return damaged
	case "XMinioInsecureClientRequest":
		return plainText
	case "RequestTimeTooSkewed":
		return skewedClock
	case "SignatureDoesNotMatch":
		return badSignature
	case "InvalidToken", "InvalidTokenId":
		return badToken
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return expiredToken
	case "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSecurity":
		return unknownKey
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		return otherRegion
	case "AccessDenied", "AccessForbidden", "AllAccessDisabled", "AccountProblem":
		return forbidden
	}
	return meaningOfStatus(r.StatusCode, r.Message)
}

// meaningOfStatus reads an answer that is none of S3's, but that of a web server or a proxy.
func meaningOfStatus(status int, message string) meaning {
	switch {
	case strings.Contains(message, "HTTPS server"), strings.Contains(message, "HTTPS port"):
		return plainText
	case status == http.StatusRequestedRangeNotSatisfiable:
		return badRange
	case status == http.StatusInsufficientStorage:
		return full
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500 && status != http.StatusNotImplemented:
		return busy
	case status == http.StatusUnauthorized:
		return unknownKey
	case status == http.StatusForbidden:
		return forbidden
	case status == http.StatusMovedPermanently, status == http.StatusTemporaryRedirect:
		return otherRegion
	}
	return unknown
}

// classifyResponse says what an answer of the server means.
func classifyResponse(r minio.ErrorResponse, f facts) failure {
	answered := "the server answers " + strings.TrimSpace(fmt.Sprintf("%d %s", r.StatusCode, r.Code))
	if r.Message != "" && len(r.Message) < 200 {
		answered += " (" + strings.Join(strings.Fields(r.Message), " ") + ")"
	}
	switch meaningOf(r) {
	case noObject:
		return failure{sentinel: storage.ErrNotExist}
	case noBucket:
		return failure{
			sentinel: storage.ErrNoBucket, reason: fmt.Sprintf("%s has no bucket %s", f.endpoint, f.bucket),
			advice: "create it, or correct the bucket's name or the endpoint in the repository's URL",
		}
	case badRange:
		return failure{sentinel: storage.ErrRange}
	case badName:
		return failure{sentinel: storage.ErrName, reason: answered}
	case inTheWay:
		// Servers that keep objects as files say so also when they failed to make the object's folder because
		// the deletion of its last other object removed it at that moment.
		return failure{sentinel: storage.ErrName, reason: answered, contended: true}
	case full:
		return failure{sentinel: storage.ErrNoSpace, reason: answered, advice: "free some space there, or raise the bucket's quota"}
	case busy:
		return failure{sentinel: storage.ErrUnreachable, reason: answered, advice: "see what is wrong with the service at " + f.endpoint, transient: true}
	case damaged:
		return failure{sentinel: storage.ErrUnreachable, reason: answered, advice: "something between here and the server changes the data", transient: true}
	case plainText:
		return failure{sentinel: storage.ErrUnreachable, reason: f.endpoint + " speaks HTTPS", advice: "write endpoint=" + strings.Replace(f.endpoint, "http:", "https:", 1)}
	case otherRegion:
		advice := "give the bucket's region with region="
		if r.Region != "" {
			advice = "write region=" + r.Region
		}
		// Where no region is configured, minio-go has noted the one in the answer and uses it next time.
		return failure{sentinel: storage.ErrUnreachable, reason: answered, advice: advice, transient: r.Region != "" && f.region == ""}
	case forbidden:
		return failure{
			sentinel: storage.ErrPermission, reason: fmt.Sprintf("%s may not %s on %s", f.access, f.action, f.resource()),
			advice: "allow it in the user's or the bucket's policy",
			// MinIO says the same where another says inTheWay. Whoever has written may write, as a rule.
			contended: f.action == actionPut && f.wrote,
		}
	case unknown:
		return failure{sentinel: errors.New(answered), advice: "check that an S3 service is at " + f.endpoint}
	default:
		return classifyCredentials(meaningOf(r), f)
	}
}

// classifyCredentials says what it means that the server does not believe who is asking.
func classifyCredentials(m meaning, f facts) failure {
	refused := failure{sentinel: storage.ErrCredentials}
	switch m {
	case skewedClock:
		refused.reason = "the clocks of this machine and of the server differ by more than 15 minutes"
		refused.advice = "set the clock of the one that is wrong (NTP)"
	case badSignature:
		refused.reason, refused.advice = "the secret key does not belong to "+f.access, "correct the secret key"
	case badToken:
		refused.reason = "the session token does not belong to " + f.access
		refused.advice = "correct the session token, or leave it out"
		refused.expired = true // that of a session that has ended may be forgotten
	case expiredToken:
		refused.reason, refused.advice = "the session token of "+f.access+" has expired", "get new credentials"
		refused.expired = true
	default:
		refused.reason, refused.advice = fmt.Sprintf("%s does not know %s", f.endpoint, f.access), "correct the access key, or the endpoint"
		if f.temporary { // MinIO forgets those of a session that has ended
			refused.reason += ", or no longer"
			refused.advice += ", or get new credentials if they have expired"
			refused.expired = true
		}
	}
	return refused
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
		return failure{
			sentinel: storage.ErrUnreachable, reason: "the service at " + f.endpoint + " cannot be relied on: " + listing.Error(), answer: true, contended: true,
			advice: "see whether it, or what stands between, implements ListObjectsV2 with start-after and continuation-token; without it no backup there can be relied on",
		}
	}
	silent := failure{sentinel: storage.ErrUnreachable, transient: true, silent: true, advice: "check endpoint= in the repository's URL, and that the service runs"}
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
			// Where nothing has ever been understood, it is no S3 service; else, something on the way has changed a listing.
			sentinel: storage.ErrUnreachable, reason: "an answer of " + f.endpoint + " cannot be read (" + innermost(err) + ")", transient: true, silent: true,
			advice: "check that an S3 service is there, and that nothing between here and there changes the data",
		}
	}
	return failure{sentinel: err}
}

// garbled reports an answer that is not the XML that it should be: cut off, changed on its way, or somebody else's.
func garbled(err error) bool {
	var (
		syntax *xml.SyntaxError
		shape  xml.UnmarshalError
		number *strconv.NumError
		moment *time.ParseError
		escape url.EscapeError
	)
	return errors.Is(err, errNoListing) || errors.Is(err, io.EOF) || errors.As(err, &syntax) || errors.As(err, &shape) || errors.As(err, &number) ||
		errors.As(err, &moment) || errors.As(err, &escape)
}

// certificateProblem says what keeps TLS from being spoken, "" if nothing does.
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
		return "the TLS certificate of " + endpoint + " is signed by an unknown authority", "give that authority's certificate with ca=FILE or AWS_CA_BUNDLE"
	case errors.As(err, &name):
		return "the TLS certificate of " + endpoint + " is for another name (" + name.Error() + ")", "use the name in the certificate; with virtual-host style, path-style=true may help"
	case errors.As(err, &invalid):
		return "the TLS certificate of " + endpoint + " cannot be used (" + invalid.Error() + ")", "renew it"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return endpoint + " speaks plain HTTP", "write endpoint=" + strings.Replace(endpoint, "https:", "http:", 1)
	case errors.As(err, &alert):
		return endpoint + " refuses TLS (" + alert.Error() + ")", "check the service's TLS settings"
	}
	return "", ""
}

// innermost is the text of the error at the bottom of a chain, where the words that matter are.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

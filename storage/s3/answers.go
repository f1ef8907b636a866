package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"

	"github.com/stsbackup/stsbackup/storage"
)

// meaning is what a server's answer means for us.
type meaning int

const (
	unknown meaning = iota
	noObject
	noBucket
	badRange
	badName
	inTheWay // something that is no object
	full
	busy    // also: has failed once, and may not fail again
	damaged // something between us and the server has changed the data
	plainText
	skewedClock
	badSignature
	badToken
	expiredToken
	unknownKey
	otherRegion
	archived
	suspended
	proxyRefuses
	forbidden
)

// meaningOf reads the code of an answer, of which S3, MinIO and versitygw have many, or else its status.
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
	case "InvalidObjectState":
		return archived
	case "AllAccessDisabled", "AccountProblem", "UserSuspended", "AccountSuspended", "UserDisable", "Suspended", "NotSignedUp", "InvalidPayer":
		return suspended
	case "AccessDenied", "AccessForbidden":
		return forbidden
	}
	return meaningOfStatus(r.StatusCode, r.Message)
}

// meaningOfStatus reads an answer that comes not from S3, but from a web server or a proxy.
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
	case status == http.StatusProxyAuthRequired:
		return proxyRefuses
	case status == http.StatusUnauthorized:
		return unknownKey
	case status == http.StatusForbidden:
		return forbidden
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest && status != http.StatusNotModified:
		return otherRegion
	}
	return unknown
}

// classifyResponse says what a server's answer means.
func classifyResponse(r minio.ErrorResponse, f facts) failure {
	answered := answer(r)
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
		// Servers that keep objects as files also say so if they could not make the object's folder because the
		// deletion of its last other object removed it at that moment.
		return failure{sentinel: storage.ErrName, reason: answered, contended: true}
	case full:
		return failure{sentinel: storage.ErrNoSpace, reason: answered, advice: "free some space there, or raise the bucket's quota"}
	case busy:
		return failure{
			sentinel:  storage.ErrUnreachable,
			reason:    answered,
			advice:    "see what is wrong with the service at " + f.endpoint,
			transient: true,
		}
	case damaged:
		return failure{
			sentinel:  storage.ErrUnreachable,
			reason:    answered,
			advice:    "something between here and the server changes the data",
			transient: true,
		}
	case plainText:
		return failure{
			sentinel: storage.ErrUnreachable,
			reason:   f.endpoint + " speaks HTTPS",
			advice:   "write endpoint=" + strings.Replace(f.endpoint, "http:", "https:", 1),
		}
	case otherRegion:
		return elsewhere(r, f)
	case archived:
		return failure{
			sentinel: storage.ErrArchived,
			reason:   answered,
			advice: "bring it back there first (at AWS: aws s3api restore-object), and keep the rule that archives objects away from this " +
				"repository",
		}
	case suspended:
		return failure{sentinel: storage.ErrPermission, reason: answered, advice: "check the account at " + f.endpoint}
	case proxyRefuses:
		return refusedBy(cmp.Or(f.proxy, "a proxy"), answered, r.StatusCode, f)
	case forbidden:
		return classifyDenial(r, f)
	case unknown:
		advice := "check that an S3 service is at " + f.endpoint
		if f.accepted { // the bucket exists
			advice = "see what the service at " + f.endpoint + " does not take of this"
		}
		return failure{sentinel: errors.New(answered), advice: advice}
	default:
		return classifyCredentials(meaningOf(r), f)
	}
}

// classifyCredentials says what it means that the server does not accept our credentials.
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
		refused.expired = true // a session that has ended may be forgotten
	case expiredToken:
		refused.reason, refused.advice = "the session token of "+f.access+" has expired", "get new credentials"
		refused.expired = true
	default:
		refused.reason, refused.advice = fmt.Sprintf("%s does not know %s", f.endpoint, f.access), "correct the access key, or the endpoint"
		if f.temporary { // MinIO forgets the tokens of a session that has ended
			refused.reason += ", or no longer"
			refused.advice += ", or get new credentials if they have expired"
			refused.expired = true
		}
	}
	return refused
}

// elsewhere says what it means that a server redirects us to another one.
func elsewhere(r minio.ErrorResponse, f facts) failure {
	advice := "give the bucket's region with region=, or correct endpoint=, in the repository's URL"
	if r.Region != "" {
		advice = "write region=" + r.Region
	}
	return failure{
		sentinel: storage.ErrUnreachable, reason: answer(r), advice: advice,
		// If no region is configured, minio-go has noted the one from the answer and uses it next time. And a new
		// bucket may be redirected only until its name is known everywhere.
		transient: r.Region != "" && f.region == "" || r.Code == "TemporaryRedirect" && r.Region == "",
	}
}

// answer quotes the server's answer, in one line.
func answer(r minio.ErrorResponse) string {
	answered := "the server answers " + strings.TrimSpace(fmt.Sprintf("%d %s", r.StatusCode, printable(r.Code, 100)))
	if words := printable(r.Message, 400); words != "" {
		answered += " (" + words + ")"
	}
	return answered
}

// printable puts somebody else's text into one line, of at most limit characters.
func printable(text string, limit int) string {
	runes := []rune(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}

// classifyDenial says why the server denies a request although it knows the credentials. Often its own words say why,
// and no policy would change that.
func classifyDenial(r minio.ErrorResponse, f facts) failure {
	words := strings.ToLower(r.Message)
	says := func(any ...string) bool {
		return slices.ContainsFunc(any, func(part string) bool { return strings.Contains(words, part) })
	}
	denied := fmt.Sprintf("%s may not %s on %s", f.access, f.action, f.resource())
	switch {
	case says("storage cap", "cap exceeded", "cap has been", "quota", "storage limit", "out of space", "storage is full"):
		return failure{
			sentinel: storage.ErrNoSpace,
			reason:   answer(r),
			advice:   "free some space there, or raise the account's or the bucket's limit",
		}
	case says("suspend", "disabled", "overdue", "billing", "payment", "terminated", "delinquent", "expired account", "account is"):
		return failure{sentinel: storage.ErrPermission, reason: answer(r), advice: "check the account at " + f.endpoint}
	case says("encrypt"):
		return failure{
			sentinel: storage.ErrPermission,
			reason:   answer(r),
			advice: "let the bucket encrypt by default, and its policy take objects that do not ask for it: what stsbackup stores is encrypted " +
				"before it is sent",
		}
	case !generic(words) && !says("denied", "authorized", "authorised", "permission", "policy", "privilege", "not allowed", "forbidden",
		"access to"):
		return failure{
			sentinel: storage.ErrPermission, reason: answer(r),
			advice:    fmt.Sprintf("if that does not say what to do, ask whoever runs %s why %s", f.endpoint, denied),
			contended: f.action == actionPut && f.wrote,
		}
	}
	reason, advice := denied, "allow it in the user's or the bucket's policy"
	if f.blind && f.action == actionGet {
		reason += fmt.Sprintf("; or it does not exist, which the server tells only those who may %s on bucket %s", actionList, f.bucket)
		advice += ", " + actionList + " first"
	}
	if !generic(words) {
		reason += ": " + answer(r)
	}
	return failure{
		sentinel: storage.ErrPermission, reason: reason, advice: advice,
		// MinIO says the same where another server says inTheWay. Whoever has written before may usually write.
		contended: f.action == actionPut && f.wrote,
	}
}

// generic reports that the words say only that something is denied.
func generic(words string) bool {
	return slices.Contains([]string{"", "access denied", "accessdenied", "forbidden", "403 forbidden"}, strings.Trim(words, " .!\n\t"))
}

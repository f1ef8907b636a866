package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// TestServicesWithoutChecksums: a service that refuses checksum headers gets its objects without them, and later ones
// at the first try; one that wants Content-MD5 gets that.
func TestServicesWithoutChecksums(t *testing.T) {
	t.Parallel()
	noMD5 := func(r *http.Request) *odds3.Refusal {
		if r.Header.Get("Content-MD5") != "" {
			return &odds3.Refusal{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "no such header"}
		}
		return nil
	}
	unsigned := func(r *http.Request) *odds3.Refusal {
		if r.Header.Get("X-Amz-Checksum-Crc32c") != "" {
			return &odds3.Refusal{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch", Message: "check your key"}
		}
		return nil
	}
	for what, test := range map[string]struct {
		odds  odds3.Odds
		first int // requests that the first PUT takes
	}{
		"400":                        {odds3.Odds{ChecksumStatus: 400}, 2},
		"501":                        {odds3.Odds{ChecksumStatus: 501}, 2},
		"400, and it wants MD5":      {odds3.Odds{ChecksumStatus: 400, WantsMD5: true}, 2},
		"neither of them":            {odds3.Odds{ChecksumStatus: 501, Refuse: noMD5}, 3},
		"header left out of signing": {odds3.Odds{Refuse: unsigned}, 2},
	} {
		s, bucket := newOdd(t)
		if _, err := listNames(t.Context(), bucket, ""); err != nil { // the keys are good
			t.Fatal(err)
		}
		s.Set(test.odds)
		s.Requests()
		for i, want := range []int{test.first, 1, 1} {
			err := bucket.Put(t.Context(), fmt.Sprintf("object-%d", i), []byte("data"))
			if requests := s.Requests(); err != nil || len(requests) != want {
				t.Errorf("%s: object %d: %v after %q; want %d requests", what, i, err, requests, want)
			}
		}
	}
}

// TestMD5WhereLocksDemandIt: Google's service gets no checksum, and Content-MD5 as soon as it asks.
func TestMD5WhereLocksDemandIt(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	bucket.proof.Store(int32(noProof))
	s.Set(odds3.Odds{WantsMD5: true})
	for i := range 2 {
		if err := bucket.Put(t.Context(), "object", []byte("data")); err != nil {
			t.Errorf("put %d: %v", i, err)
		}
	}
	if requests := s.Requests(); len(requests) != 3 {
		t.Errorf("%q, want three requests", requests)
	}
}

// TestDenialsInTheServersWords: messages show what the server says, and advise what fits that.
func TestDenialsInTheServersWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("arn:aws:iam::123456789012:role/", 10)
	for _, test := range []struct {
		refusal odds3.Refusal
		want    error
		says    []string
		never   string
	}{
		{
			odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "Access Denied."}, storage.ErrPermission,
			[]string{"may not s3:PutObject on bucket/object", "allow it in"}, "answers",
		},
		{odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "Cannot upload files, storage cap exceeded. See the Caps & Alerts page to " +
			"increase your cap."}, storage.ErrNoSpace, []string{"storage cap exceeded", "raise"}, "policy"},
		{
			odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "Account suspended:\nunpaid"}, storage.ErrPermission,
			[]string{"Account suspended: unpaid", "check the account"}, "policy",
		},
		{odds3.Refusal{Status: 403, Code: "AllAccessDisabled", Message: "All access to this object has been " +
			"disabled"}, storage.ErrPermission, []string{"has been disabled", "check the account"}, "policy"},
		{
			odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "Server side encryption is required"}, storage.ErrPermission,
			[]string{"encryption is required", "encrypt by default"}, "allow it in",
		},
		{
			odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "User: " + long + " is not authorized to perform: s3:PutObject"},
			storage.ErrPermission, []string{"may not s3:PutObject", "User: arn:aws", "allow it in"}, "",
		},
		{
			odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "The moon is in the wrong quarter"}, storage.ErrPermission,
			[]string{"The moon is in the wrong quarter", "ask whoever runs"}, "allow it in",
		},
		{
			odds3.Refusal{Status: 403, Message: `{"message": "bandwidth limit of your plan"}`}, storage.ErrPermission,
			[]string{"bandwidth limit of your plan"}, "allow it in",
		},
		{odds3.Refusal{Status: 403, Message: "<html><head><title>x</title></head><body>Blocked by <b>web filter</b>: category " +
			"backup</body></html>"}, storage.ErrPermission, []string{"Blocked by web filter"}, "<b>"},
		{
			odds3.Refusal{Status: 403, Code: "RequestTimeTooSkewed", Message: "The difference is too large"}, storage.ErrCredentials,
			[]string{"set the clock"}, "policy",
		},
		{
			odds3.Refusal{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}, storage.ErrUnreachable,
			[]string{"Please reduce your request rate"}, "policy",
		},
		{
			odds3.Refusal{Status: 200, Code: "InternalError", Message: "We encountered an internal error"}, storage.ErrUnreachable,
			[]string{"internal error"}, "",
		},
		{odds3.Refusal{Status: 200, Code: "AccessDenied", Message: "Access Denied"}, storage.ErrPermission, []string{"may not s3:PutObject"}, ""},
		{
			odds3.Refusal{Status: 200, Message: "<html><body>Please log in to the network</body></html>"}, storage.ErrUnreachable,
			[]string{"Please log in to the network"}, "policy",
		},
	} {
		s, bucket := newOdd(t)
		s.Set(odds3.Odds{Refuse: func(*http.Request) *odds3.Refusal { return &test.refusal }})
		err := bucket.Put(t.Context(), "object", []byte("data"))
		if !errors.Is(err, test.want) || strings.Contains(err.Error(), "\n") || test.never != "" && strings.Contains(err.Error(), test.never) {
			t.Errorf("%+v: %v; want %v, without %q", test.refusal, err, test.want, test.never)
			continue
		}
		for _, part := range test.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %q does not say %q", test.refusal, err, part)
			}
		}
	}
}

// TestErrorsInAnswersOfSuccess: an answer with status 200 and an error in it is no object, no listing and no deletion.
func TestErrorsInAnswersOfSuccess(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	s.Set(odds3.Odds{Refuse: func(*http.Request) *odds3.Refusal {
		return &odds3.Refusal{Status: 200, Code: "InternalError", Message: "as planned"}
	}})
	for verb, err := range operations(t.Context(), bucket, "another") {
		if verb == "get nothing" || verb == "stat" {
			continue // an answer to a HEAD has no body
		}
		if !errors.Is(err, storage.ErrUnreachable) || !strings.Contains(err.Error(), "as planned") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// TestDeniedWithoutListing: to those who may not list, S3 denies access to objects that do not exist.
func TestDeniedWithoutListing(t *testing.T) {
	t.Parallel()
	for _, lists := range []bool{false, true} {
		s, bucket := newOdd(t)
		s.Set(odds3.Odds{Refuse: func(r *http.Request) *odds3.Refusal {
			if r.Method == http.MethodPut || odds3.IsList(r) && lists {
				return nil
			}
			return &odds3.Refusal{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}})
		all := operations(t.Context(), bucket, "folder/object")
		for _, verb := range []string{"get", "stat", "get nothing"} {
			err := all[verb]
			if !errors.Is(err, storage.ErrPermission) || !strings.Contains(err.Error(), "s3:GetObject on bucket/folder/object") ||
				strings.Contains(err.Error(), "s3:ListBucket") == lists {
				t.Errorf("%s, may list %v: %v", verb, lists, err)
			}
		}
		if err := all["delete"]; !errors.Is(err, storage.ErrPermission) || strings.Contains(err.Error(), "ListBucket") {
			t.Errorf("delete: %v", err)
		}
	}
}

// TestArchivedObjects: errors about objects in an archive class say so, and what to do.
func TestArchivedObjects(t *testing.T) {
	t.Parallel()
	s, bucket := newOdd(t)
	names := fill(t, bucket, 2)
	s.Set(odds3.Odds{Archived: func(name string) bool { return name == names[0] }})
	_, err := bucket.Get(t.Context(), names[0], 0, -1)
	if !errors.Is(err, storage.ErrArchived) || !strings.Contains(err.Error(), "restore-object") || strings.Contains(err.Error(), "policy") {
		t.Errorf("get: %v; want ErrArchived", err)
	}
	body, err := bucket.Get(t.Context(), names[1], 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil || !slices.Equal(data, []byte("data")) {
		t.Errorf("%q, %v", data, err)
	}
}

// TestRedirects: if a server redirects us, the error quotes it, says where to, and what to write.
func TestRedirects(t *testing.T) {
	t.Parallel()
	location := http.Header{"Location": {"https://s3.test/bucket/object"}}
	for _, test := range []struct {
		refusal  odds3.Refusal
		says     []string
		requests int
	}{
		{odds3.Refusal{Status: 301, Header: location}, []string{"points to https://s3.test/bucket/object", "endpoint="}, 1},
		{
			odds3.Refusal{Status: 302, Header: location, Message: "<html>moved</html>"},
			[]string{"302", "points to https://s3.test/bucket/object"}, 1,
		},
		{odds3.Refusal{Status: 308, Header: location}, []string{"308", "points to https://s3.test/bucket/object"}, 1},
		{
			odds3.Refusal{
				Status: 301, Code: "PermanentRedirect", Message: "use another endpoint",
				Header: http.Header{"X-Amz-Bucket-Region": {"eu-west-3"}},
			},
			[]string{"use another endpoint", "write region=eu-west-3"}, 1,
		},
		{
			odds3.Refusal{Status: 307, Code: "TemporaryRedirect", Message: "Please re-send this request"},
			[]string{"Please re-send this request", "region="}, attempts,
		},
		{
			odds3.Refusal{
				Status: 400, Code: "AuthorizationHeaderMalformed", Message: "the region is wrong",
				Header: http.Header{"X-Amz-Bucket-Region": {"eu-west-3"}},
			},
			[]string{"write region=eu-west-3"}, 1,
		},
	} {
		s, bucket := newOdd(t)
		s.Set(odds3.Odds{Refuse: func(*http.Request) *odds3.Refusal { return &test.refusal }})
		err := bucket.Put(t.Context(), "object", []byte("data"))
		if requests := len(s.Requests()); !errors.Is(err, storage.ErrUnreachable) || requests != test.requests {
			t.Errorf("%+v: %v after %d requests, want %d", test.refusal, err, requests, test.requests)
			continue
		}
		for _, part := range test.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %q does not say %q", test.refusal, err, part)
			}
		}
	}
}

package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest/odds3"
)

// behindProxy opens a bucket behind a proxy, with credentials of its own.
func behindProxy(t *testing.T, endpoint, proxy, direct string) *Bucket {
	t.Helper()
	variables := map[string]string{
		"AWS_ACCESS_KEY_ID":         rootAccess,
		"AWS_SECRET_ACCESS_KEY":     rootSecret,
		"AWS_EC2_METADATA_DISABLED": "true",
		"HTTP_PROXY": strings.Replace(
			proxy,
			"://",
			"://user:hidden@",
			1,
		),
		"https_proxy": strings.Replace(proxy, "://", "://user:hidden@", 1) + "\n",
		"NO_PROXY":    direct,
	}
	config := Config{Bucket: "bucket", Endpoint: endpoint, Region: "us-east-1", Addressing: PathStyle}
	bucket, err := Open(config, func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	bucket.wait = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	return bucket
}

// TestProxiesAreNamed: whatever a proxy does wrong, the error names it, soon, and says how to do without it.
func TestProxiesAreNamed(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		status   int // the proxy's answer; 0 means that it is dead
		says     string
		requests int
	}{
		"dead":        {0, "does not answer (connection refused)", 0},
		"407":         {http.StatusProxyAuthRequired, "name and password", 1},
		"403 page":    {http.StatusForbidden, "", 2}, // a listing should tell more
		"502 page":    {http.StatusBadGateway, "502", silentAttempts},
		"503 no word": {http.StatusServiceUnavailable, "503", silentAttempts},
	} {
		for _, scheme := range []string{"http", "https"} {
			s := odds3.New(t)
			s.Set(odds3.Odds{Refuse: func(*http.Request) *odds3.Refusal { return &odds3.Refusal{Status: test.status} }})
			if test.status == 0 {
				s.Close()
			}
			bucket := behindProxy(t, scheme+"://s3.test", s.URL, "")
			_, err := bucket.Get(t.Context(), "object", 0, -1)
			if err == nil {
				t.Errorf("%s, %s: no error", what, scheme)
				continue
			}
			for _, part := range []string{test.says, "the proxy " + s.URL + " (" + strings.ToUpper(scheme) + "_PROXY)", "add s3.test to NO_PROXY"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s, %s: %v does not say %q", what, scheme, err, part)
				}
			}
			if requests := len(s.Requests()); strings.Contains(err.Error(), "hidden") || requests > test.requests {
				t.Errorf("%s, %s: %v after %d requests, want %d", what, scheme, err, requests, test.requests)
			}
		}
	}
}

// TestProxyThatIsNotNeeded: hosts in NO_PROXY are asked directly, and errors about them mention no proxy.
func TestProxyThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	s := odds3.New(t)
	bucket := behindProxy(t, "http://s3.invalid", s.URL, "s3.invalid")
	err := bucket.Put(t.Context(), "object", nil)
	if !errors.Is(err, storage.ErrUnreachable) || strings.Contains(err.Error(), "proxy") || len(s.Requests()) > 0 {
		t.Errorf("%v; want one that says nothing of the proxy", err)
	}
}

// TestProxyThatWorks is a whole round, and then a failure that is not the proxy's.
func TestProxyThatWorks(t *testing.T) {
	t.Parallel()
	s := odds3.New(t) // it looks only at the paths of requests, so it can also be the proxy
	bucket := behindProxy(t, "http://s3.test", s.URL, "")
	fill(t, bucket, 3)
	if names, err := listNames(t.Context(), bucket, "folder/"); err != nil || len(names) != 3 {
		t.Errorf("%q, %v", names, err)
	}
	_, err := bucket.Stat(t.Context(), "absent")
	if !errors.Is(err, storage.ErrNotExist) || strings.Contains(err.Error(), "proxy") {
		t.Errorf("%v", err)
	}
}

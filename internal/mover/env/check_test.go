package env

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProxyFile: what ProxyFile writes can be read again, and each variable is known in either case.
func TestProxyFile(t *testing.T) {
	settings := map[string]string{"HTTP_PROXY": "http://me:secret@proxy:3128", "HTTPS_PROXY": "proxy:3128", "NO_PROXY": ".svc,10.0.0.0/8"}
	got, err := ParseProxyFile(ProxyFile(settings))
	if diff := cmp.Diff(settings, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, want := range map[string]bool{"HTTP_PROXY": true, "https_proxy": true, "Http_Proxy": false, "FTP_PROXY": false, "": false} {
		if IsProxy(name) != want {
			t.Errorf("%q is a variable of a proxy: %t", name, !want)
		}
	}
}

// TestHasPassword finds values that must not be shown.
func TestHasPassword(t *testing.T) {
	for value, want := range map[string]bool{
		"http://proxy:3128": false, "proxy.example.com": false, "UTC": false, "a,b=c": false, ".svc,10.0.0.0/8": false,
		"http://me:secret@proxy:3128": true, "me:secret@proxy:3128": true, "http://me@proxy": true, "http://me:sec%zzret@proxy": true,
		"socks5://a:b@c:1": true,
	} {
		if HasPassword(value) != want {
			t.Errorf("%q holds a password: %t", value, !want)
		}
	}
}

package env

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTakeProxies: the file of a mover becomes its environment.
func TestTakeProxies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxies")
	for content, says := range map[string]string{
		"HTTPS_PROXY=http://me:very-secret@proxy:3128\n# mine\n\nno_proxy=.svc\n": "",
		"PATH=very-secret\n":               "it must have lines such as",
		"very-secret\n":                    "it must have lines such as",
		"HTTP_PROXY=http://very-secret:%a": "not a proxy's address",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		set := map[string]string{}
		err := TakeProxies(func(string) string { return path }, func(name, value string) error { set[name] = value; return nil })
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) ||
				strings.Contains(err.Error(), "very-secret") ||
				len(set) > 0 {
				t.Errorf("%q: error %v, set %v", content, err, set)
			}
			continue
		}
		if diff := cmp.Diff(
			map[string]string{"HTTPS_PROXY": "http://me:very-secret@proxy:3128", "NO_PROXY": ".svc"},
			set,
		); err != nil ||
			diff != "" {
			t.Errorf("%v; set (-want +got):\n%s", err, diff)
		}
	}
	if err := TakeProxies(func(string) string { return "" }, nil); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := TakeProxies(func(string) string { return path + "-absent" }, nil); err == nil {
		t.Error("a file that is not there is no error")
	}
}

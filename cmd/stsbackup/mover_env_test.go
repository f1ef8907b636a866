package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestMoverEnvironment: movers have the proxies of the command where they are of use, and passwords are in a file alone.
func TestMoverEnvironment(t *testing.T) {
	const own = "s3://bucket/root?endpoint=http://s3.example.com&region=r"
	const file = "STSBACKUP_PROXY_FILE"
	for name, tt := range map[string]struct {
		env       map[string]string
		moverRepo string
		given     []string
		want      map[string]string
		proxies   string // the file
	}{
		"no proxy":               {want: map[string]string{}},
		"no proxy but NO_PROXY":  {env: map[string]string{"NO_PROXY": "10.0.0.0/8"}, want: map[string]string{}},
		"proxies of the command": {env: map[string]string{"HTTPS_PROXY": "http://proxy.example.com:3128", "no_proxy": ".svc,10.0.0.0/8"}, want: map[string]string{"HTTPS_PROXY": "http://proxy.example.com:3128", "NO_PROXY": ".svc,10.0.0.0/8"}},
		"in lower case":          {env: map[string]string{"http_proxy": "proxy.example.com:3128"}, want: map[string]string{"HTTP_PROXY": "proxy.example.com:3128"}},
		"one that only this machine can reach": {
			env: map[string]string{"HTTP_PROXY": "http://127.0.0.1:3128", "HTTPS_PROXY": "localhost:3128", "NO_PROXY": "x"}, want: map[string]string{},
		},
		"movers that reach the bucket elsewhere": {
			env: map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"}, moverRepo: "s3://bucket/root?endpoint=http://s3.s3.svc&region=r", want: map[string]string{},
		},
		"movers that reach it there too": {
			env: map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"}, moverRepo: "s3://bucket/root?endpoint=http://s3.example.com/&region=r",
			want: map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"},
		},
		"with a password": {
			env:  map[string]string{"HTTPS_PROXY": "http://me:very-secret@proxy.example.com:3128", "NO_PROXY": ".svc"},
			want: map[string]string{file: "/etc/stsbackup/proxies", "NO_PROXY": ".svc"}, proxies: "HTTPS_PROXY=http://me:very-secret@proxy.example.com:3128\n",
		},
		"given": {
			env:   map[string]string{"HTTPS_PROXY": "http://proxy.example.com:3128", "HTTP_PROXY": "http://proxy.example.com:3128"},
			given: []string{"HTTPS_PROXY=http://other.example.com", "http_proxy=", "TZ=UTC", "LIST=a,b=c"},
			want:  map[string]string{"HTTPS_PROXY": "http://other.example.com", "TZ": "UTC", "LIST": "a,b=c"},
		},
		"given, with a password": {
			given: []string{"HTTP_PROXY=http://me:very-secret@other.example.com"}, moverRepo: "s3://bucket/root?endpoint=http://s3.s3.svc&region=r",
			want: map[string]string{file: "/etc/stsbackup/proxies"}, proxies: "HTTP_PROXY=http://me:very-secret@other.example.com\n",
		},
		"given, for another kind of repository": {
			given: []string{"TZ=UTC"}, moverRepo: "file:///repository", want: map[string]string{"TZ": "UTC"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "keys"}
			for name, value := range tt.env {
				env[name] = value
			}
			a := &app{getenv: func(name string) string { return env[name] }, version: "v1"}
			flags := &moverFlags{repo: tt.moverRepo, startTimeout: 1, stallTimeout: 1}
			for _, given := range tt.given {
				if err := flags.env.Set(given); err != nil {
					t.Fatal(err)
				}
			}
			if err := flags.check(); err != nil {
				t.Fatal(err)
			}
			config, err := flags.config(
				t.Context(),
				a,
				location.NewRoot(own, nil, repository.Secret("root")),
				target{namespace: "demo", statefulSet: "web"},
			)
			if err != nil {
				t.Fatal(err)
			}
			delete(config.Env, "AWS_SHARED_CREDENTIALS_FILE")
			if diff := cmp.Diff(tt.want, config.Env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			files, err := config.Files(t.Context())
			if err != nil || string(files.Content["proxies"]) != tt.proxies {
				t.Errorf("file with proxies %q, %v; want %q", files.Content["proxies"], err, tt.proxies)
			}
		})
	}
}

// TestMoverEnvironmentRefused: what is secret is refused, and not shown.
func TestMoverEnvironmentRefused(t *testing.T) {
	for given, says := range map[string]string{
		"very-secret":                           "write for example TZ=UTC",
		"=very-secret":                          "not the name of an environment variable",
		"1A=very-secret":                        "not the name of an environment variable",
		"DB_PASSWORD=very-secret":               "DB_PASSWORD looks like a secret",
		"GITHUB_TOKEN=very-secret":              "looks like a secret",
		"AWS_SECRET_ACCESS_KEY=very-secret":     "stsbackup itself sets",
		"STSBACKUP_LIMIT_UPLOAD=very-secret":    "stsbackup itself sets",
		"URL=https://me:very-secret@host":       "URL holds a password",
		"HTTPS_PROXY=http://me:very-secret@:%a": "not a proxy's address",
		"LINES=very-secret\nand more":           "not one line",
	} {
		var stderr bytes.Buffer
		a := &app{out: &stderr, err: &stderr, getenv: func(string) string { return "" }}
		if code := execute(context.Background(), a, []string{"backup", "demo/web", "--mover-env", "TZ=UTC", "--mover-env", given}); code != 2 {
			t.Errorf("%q: exit code %d", given, code)
		}
		if !strings.Contains(stderr.String(), says) || strings.Contains(stderr.String(), "very-secret") {
			t.Errorf("%q: it says %q, want %q, and nothing secret", given, stderr.String(), says)
		}
	}
}

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
		err := takeProxies(func(string) string { return path }, func(name, value string) error { set[name] = value; return nil })
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
	if err := takeProxies(func(string) string { return "" }, nil); err != nil {
		t.Errorf("without a file: %v", err)
	}
	if err := takeProxies(func(string) string { return path + "-absent" }, nil); err == nil {
		t.Error("a file that is not there is no error")
	}
}

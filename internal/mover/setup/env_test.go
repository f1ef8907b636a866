package setup

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestEnvironment: movers get the command's proxies if they can use them, and passwords are only in a file.
func TestEnvironment(t *testing.T) {
	const own = "s3://bucket/root?endpoint=http://s3.example.com&region=r"
	const file = "STSBACKUP_PROXY_FILE"
	for name, tt := range map[string]struct {
		env       map[string]string
		moverRepo string
		given     []string
		want      map[string]string
		proxies   string // the file
	}{
		"no proxy":              {want: map[string]string{}},
		"no proxy but NO_PROXY": {env: map[string]string{"NO_PROXY": "10.0.0.0/8"}, want: map[string]string{}},
		"proxies of the command": {
			env:  map[string]string{"HTTPS_PROXY": "http://proxy.example.com:3128", "no_proxy": ".svc,10.0.0.0/8"},
			want: map[string]string{"HTTPS_PROXY": "http://proxy.example.com:3128", "NO_PROXY": ".svc,10.0.0.0/8"},
		},
		"in lower case": {
			env:  map[string]string{"http_proxy": "proxy.example.com:3128"},
			want: map[string]string{"HTTP_PROXY": "proxy.example.com:3128"},
		},
		"one that only this machine can reach": {
			env:  map[string]string{"HTTP_PROXY": "http://127.0.0.1:3128", "HTTPS_PROXY": "localhost:3128", "NO_PROXY": "x"},
			want: map[string]string{},
		},
		"movers that reach the bucket elsewhere": {
			env:       map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"},
			moverRepo: "s3://bucket/root?endpoint=http://s3.s3.svc&region=r", want: map[string]string{},
		},
		"movers that reach it there too": {
			env:       map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"},
			moverRepo: "s3://bucket/root?endpoint=http://s3.example.com/&region=r",
			want:      map[string]string{"HTTP_PROXY": "http://proxy.example.com:3128"},
		},
		"with a password": {
			env:     map[string]string{"HTTPS_PROXY": "http://me:very-secret@proxy.example.com:3128", "NO_PROXY": ".svc"},
			want:    map[string]string{file: "/etc/stsbackup/proxies", "NO_PROXY": ".svc"},
			proxies: "HTTPS_PROXY=http://me:very-secret@proxy.example.com:3128\n",
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
			options := &Options{Repo: tt.moverRepo}
			for _, given := range tt.given {
				if err := options.Env.Set(given); err != nil {
					t.Fatal(err)
				}
			}
			if faults := options.Env.Faults(); len(faults) > 0 {
				t.Fatal(faults)
			}
			process := Process{Getenv: func(name string) string { return env[name] }, Version: "v1"}
			config, err := options.Config(t.Context(), process, location.NewRoot(own, nil, repository.Secret("root")), web())
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

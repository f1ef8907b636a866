package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		arg, namespace string
		want           target
		wantErr        string
	}{
		{arg: "web", want: target{statefulSet: "web"}},
		{arg: "web", namespace: "demo", want: target{namespace: "demo", statefulSet: "web"}},
		{arg: "demo/web", want: target{namespace: "demo", statefulSet: "web"}},
		{arg: "demo/web", namespace: "demo", want: target{namespace: "demo", statefulSet: "web"}},
		{arg: "demo/web@latest", want: target{namespace: "demo", statefulSet: "web", recoveryPoint: "latest"}},
		{arg: "web@2026-11-21T08:00:00+01:00", want: target{statefulSet: "web", recoveryPoint: "2026-11-21T08:00:00+01:00"}},
		{arg: "demo/web", namespace: "prod", wantErr: "--namespace says prod"},
		{arg: "web@", wantErr: "names no recovery point"},
		{arg: "/web", wantErr: "empty namespace"},
		{arg: "demo/", wantErr: "is not [NAMESPACE/]"},
		{arg: "a/b/c", wantErr: "is not [NAMESPACE/]"},
		{arg: "", wantErr: "is not [NAMESPACE/]"},
		{arg: "demo/my.web-2", want: target{namespace: "demo", statefulSet: "my.web-2"}},
		{arg: "../web", wantErr: "cannot be the name of a namespace"},
		{arg: "demo/..", wantErr: "cannot be the name of a StatefulSet"},
		{arg: "demo/Web", wantErr: "cannot be the name of a StatefulSet"},
		{arg: "web", namespace: "a b", wantErr: "cannot be the name of a namespace"},
	}
	for _, test := range tests {
		t.Run(test.arg+"|"+test.namespace, func(t *testing.T) {
			got, err := parseTarget(test.arg, test.namespace)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want one with %q", err, test.wantErr)
				}
				if code := exitCode(t.Context(), err); code != exitUsage {
					t.Errorf("exit code %d, want %d", code, exitUsage)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestPasswordComesFromTheFirstPlaceThatHasOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, flag string
		env        map[string]string
		want       string
		wantErr    string
	}{
		{name: "flag", flag: file, env: map[string]string{"STSBACKUP_PASSWORD": "x"}, want: "from a file"},
		{name: "file in the environment", env: map[string]string{"STSBACKUP_PASSWORD_FILE": file, "STSBACKUP_PASSWORD": "x"}, want: "from a file"},
		{name: "environment", env: map[string]string{"STSBACKUP_PASSWORD": "x y"}, want: "x y"},
		{name: "nowhere", wantErr: "give --password-file"},
		{name: "missing file", flag: file + ".not", wantErr: "read the password"},
		{name: "empty file", flag: empty, wantErr: "is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &app{getenv: func(key string) string { return test.env[key] }}
			got, err := (&repoFlags{passwordFile: test.flag}).password(a)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want one with %q", err, test.wantErr)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

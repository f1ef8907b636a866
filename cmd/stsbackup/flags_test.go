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
		{
			name: "file in the environment",
			env:  map[string]string{"STSBACKUP_PASSWORD_FILE": file, "STSBACKUP_PASSWORD": "x"},
			want: "from a file",
		},
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

// TestWhiteSpaceAroundPasswords: a file and the environment give the same password. Invisible parts of a password are
// refused, and the error names the file or the variable.
func TestWhiteSpaceAroundPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for text, want := range map[string]string{
		"secret": "", "secret\n": "", "secret\r\n": "", "\nsecret\n\n": "",
		"secret ": "white space", " secret": "white space", "secret\t\n": "white space", "secret \r\n": "white space",
		"secret\u00a0": "white space",
		"\n":           "is empty", " ": "is empty", "secret\nsecond": "more than one line",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"STSBACKUP_PASSWORD": text, "STSBACKUP_PASSWORD_FILE": file, "STSBACKUP_PASSWORD_FILE ": file + "\n",
		} {
			a := &app{getenv: func(key string) string {
				if key == strings.TrimSpace(name) {
					return value
				}
				return ""
			}}
			got, err := (&repoFlags{}).password(a)
			named := err != nil && (strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "STSBACKUP_PASSWORD "))
			switch {
			case want == "" && (err != nil || got != "secret"):
				t.Errorf("%s is %q: %q, %v", name, text, got, err)
			case want != "" && (!named || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") ||
				exitCode(t.Context(), err) != exitUsage):
				t.Errorf("%s is %q: %q, %v; want an error that says %q, and where", name, text, got, err, want)
			}
		}
	}
}

func TestWhiteSpaceAroundLocations(t *testing.T) {
	a := &app{getenv: func(key string) string { return map[string]string{"STSBACKUP_REPO": " s3://bucket/prefix\n"}[key] }}
	for _, flags := range []*repoFlags{{}, {url: "s3://bucket/prefix \r\n"}} {
		if url, err := flags.location(a); err != nil || url != "s3://bucket/prefix" {
			t.Errorf("%q, %v", url, err)
		}
	}
}

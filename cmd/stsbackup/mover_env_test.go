package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestMoverEnvironmentRefused: secret values are refused, and not shown.
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

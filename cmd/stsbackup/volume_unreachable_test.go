package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestMoversThatCannotReachTheBucket: movers say which flag gives pods another URL, in what the engine will show. A
// person at a terminal, who has no such flag, does not read about it.
func TestMoversThatCannotReachTheBucket(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"
	s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
	const advice = "in a pod, 127.0.0.1 is the pod itself: with --mover-repo, give the URL by which pods reach the bucket"
	for name, args := range map[string][]string{
		"backup":  {"volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0"},
		"restore": {"volume", "restore", "demo/web", "--claim", "www-web-0", "--repository-snapshot", strings.Repeat("ab", 32), t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "result")
			s.run(exitFailed, append(args, "--result-file", file)...)
			if err := outcome(t, file, true); err == nil || !strings.Contains(err.Error(), "nothing listens at http://127.0.0.1:1") ||
				!strings.Contains(err.Error(), advice) {
				t.Errorf("the mover's result does not say %q: %v", advice, err)
			}
			s.run(exitFailed, args...)
			s.says("nothing listens at http://127.0.0.1:1")
			if strings.Contains(s.err.String(), "--mover-repo") {
				t.Errorf("a person is told of --mover-repo:\n%s", s.err.String())
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/cluster"
	"github.com/stsbackup/stsbackup/internal/mover"
	"github.com/stsbackup/stsbackup/storage/archive"
)

// outcome is what the engine concludes from a probe that has left this result file.
func outcome(t *testing.T, file string, failed bool) error {
	t.Helper()
	if !failed {
		return mover.ProbeOutcome([]byte(read(t, file)), nil)
	}
	return mover.ProbeOutcome([]byte(read(t, file)), &cluster.MoverError{Pod: "demo/probe", Reason: "Error", ExitCode: 1})
}

func TestVolumeProbe(t *testing.T) {
	s := volumeShell(t)
	var saved archive.Result
	decode(t, s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0", "-o", "json"), &saved)
	root := strings.TrimPrefix(s.env["STSBACKUP_REPO"], "file://")
	before := files(t, root)
	none := strings.Repeat("ab", 32)
	for name, tt := range map[string]struct {
		args     []string
		password string
		code     int
		says     string
	}{
		"found":                     {args: []string{"demo/web@20261121T081200Z-3fa9", "--repository-snapshot", saved.RepositorySnapshot}},
		"found, and can be written": {args: []string{"demo/web", "--write"}},
		"a repository snapshot that is not there": {
			args: []string{"demo/web", "--repository-snapshot", saved.RepositorySnapshot, "--repository-snapshot", none}, code: exitNotFound,
			says: none + " in file://" + root + "/demo/web: no such repository snapshot; this happened with the URL that movers use",
		},
		"no repository": {args: []string{"demo/other"}, code: exitNotFound, says: "--mover-repo, if given, must lead to the same place " +
			"as --repo"},
		"wrong password": {args: []string{"demo/web"}, password: "wrong", code: exitFailed, says: "wrong password"},
		"nothing listens there": {
			args: []string{"demo/web", "--repo", "s3://bucket/root?endpoint=http://127.0.0.1:1&region=r"}, code: exitFailed,
			says: "nothing listens at http://127.0.0.1:1 after 3 attempts; check endpoint= in the repository's URL, and that the service runs; " +
				"in a pod, 127.0.0.1 is the pod itself: with --mover-repo, give the URL by which pods reach the bucket",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.env["STSBACKUP_PASSWORD"] = "secret"
			if tt.password != "" {
				s.env["STSBACKUP_PASSWORD"] = tt.password
			}
			s.env["AWS_ACCESS_KEY_ID"], s.env["AWS_SECRET_ACCESS_KEY"] = "key", "secret"
			file := filepath.Join(t.TempDir(), "result")
			s.run(tt.code, append([]string{"volume", "probe", "--result-file", file}, tt.args...)...)
			err := outcome(t, file, tt.code != 0)
			if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v; want an error that says %q", err, tt.says)
			}
		})
	}
	for name, text := range files(t, root) {
		if before[name] != text {
			t.Errorf("probes left %s", name)
		}
	}
	s.env["STSBACKUP_PASSWORD"] = "secret"
	index, err := filepath.Glob(filepath.Join(root, "demo/web/index/*"))
	if err != nil || len(index) != 1 {
		t.Fatalf("%q, %v", index, err)
	}
	if err := os.WriteFile(index[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exitFailed, "volume", "probe", "demo/web")
	s.says("index/" + filepath.Base(index[0])[:8])
	s.run(exitUsage, "volume", "probe", "demo/web", "--repository-snapshot", "latest")
	s.run(0, "volume", "probe", "demo/new", "--write")
	s.run(0, "volume", "probe", "demo/new")
}

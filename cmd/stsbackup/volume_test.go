package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/archive"
)

// shell runs command lines in this process.
type shell struct {
	t   *testing.T
	ctx context.Context
	env map[string]string
	now func() time.Time
	// out and err hold the output of the last command.
	out, err bytes.Buffer
	onOutput func()
}

// volumeShell has a password, and a repository root that does not exist yet.
func volumeShell(t *testing.T) *shell {
	t.Helper()
	return &shell{t: t, ctx: t.Context(), now: time.Now, env: map[string]string{
		"STSBACKUP_REPO": "file://" + filepath.Join(t.TempDir(), "root"), "STSBACKUP_PASSWORD": "secret",
	}}
}

// watched calls a function when something is written.
type watched struct {
	mu  sync.Mutex
	buf *bytes.Buffer
	fn  func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fn != nil {
		w.fn()
	}
	return w.buf.Write(p)
}

// run runs a command and checks its exit code.
func (s *shell) run(want int, args ...string) string {
	s.t.Helper()
	s.out.Reset()
	s.err.Reset()
	a := &app{
		in: strings.NewReader(""), out: &watched{buf: &s.out, fn: s.onOutput}, err: &watched{buf: &s.err, fn: s.onOutput},
		getenv: func(name string) string { return s.env[name] }, now: s.now, random: rand.Reader, version: "test",
	}
	if got := execute(s.ctx, a, args); got != want {
		s.t.Fatalf("stsbackup %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, &s.out, &s.err)
	}
	return s.out.String()
}

// says expects texts in the messages of the last command.
func (s *shell) says(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.err.String(), text) {
			s.t.Errorf("the message does not say %q:\n%s", text, &s.err)
		}
	}
}

// site makes a small volume.
func site(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"index.html": "<h1>web-0</h1>\n", "data/log": strings.Repeat("line\n", 1000), "data/empty": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files reads a tree and returns content by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(files(t, want), files(t, got)); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
}

func TestVolumeRoundTrip(t *testing.T) {
	s := volumeShell(t)
	source, target := site(t), filepath.Join(t.TempDir(), "new", "dir")
	var saved, restored archive.Result
	decode(t, s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0", "-o", "json"), &saved)
	if saved.Files != 3 || saved.Directories != 2 || saved.Bytes != 5015 || saved.BytesStored == 0 || saved.RepositorySnapshot == "" {
		t.Errorf("backup: %+v", saved)
	}
	decode(t, s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "-o", "json"), &restored)
	if restored.RepositorySnapshot != saved.RepositorySnapshot || restored.Files != 3 || restored.Bytes != 5015 {
		t.Errorf("restore: %+v", restored)
	}
	sameFiles(t, source, target)

	if got, want := s.run(0, "volume", "cat", "demo/web", "/index.html", "--claim", "www-web-0"), "<h1>web-0</h1>\n"; got != want {
		t.Errorf("cat: %q, want %q", got, want)
	}
	if got := s.run(0, "volume", "ls", "demo/web", "--claim", "www-web-0"); !strings.Contains(got, "index.html") ||
		!strings.Contains(got, "data/") {
		t.Errorf("ls: %s", got)
	}
	var entries []volumeEntry
	decode(t, s.run(0, "volume", "ls", "demo/web", "data", "--claim", "www-web-0", "-o", "json"), &entries)
	if len(entries) != 2 || entries[0].Name != "empty" || entries[1].Size != 5000 {
		t.Errorf("ls -o json: %+v", entries)
	}
	s.run(0, "volume", "restore", "demo/web", t.TempDir(), "--claim", "www-web-0", "--repository-snapshot", saved.RepositorySnapshot)
	s.run(1, "volume", "cat", "demo/web", "nothing", "--claim", "www-web-0")
	s.says("nothing", "no such file")
}

func decode(t *testing.T, text string, value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestVolumeCompression(t *testing.T) {
	s := volumeShell(t)
	source, last := site(t), int64(-4000)
	for _, level := range []string{"max", "off"} {
		var saved archive.Result
		decode(
			t,
			s.run(0, "volume", "backup", source, "--as", "demo/"+level, "--claim", "www-web-0", "--compression", level, "-o", "json"),
			&saved,
		)
		if saved.BytesStored < last+4000 {
			t.Errorf("--compression %s stores %d bytes, after %d", level, saved.BytesStored, last)
		}
		last = saved.BytesStored
		target := filepath.Join(t.TempDir(), "target")
		s.run(0, "volume", "restore", "demo/"+level, target, "--claim", "www-web-0")
		sameFiles(t, source, target)
	}
}

func TestVolumeUsage(t *testing.T) {
	s := volumeShell(t)
	dir := t.TempDir()
	backup := []string{"volume", "backup", dir}
	tests := []struct {
		args []string
		says string
	}{
		{append(backup, "--claim", "c"), "--as"},
		{append(backup, "--as", "web", "--claim", "c"), "names no namespace"},
		{append(backup, "--as", "demo/web@latest", "--claim", "c"), "--recovery-point"},
		{append(backup, "--as", "demo/web"), "--claim"},
		{append(backup, "--as", "demo/web", "--claim", "../c"), "../c"},
		{append(backup, "--as", "demo/web", "--claim", "c", "--recovery-point", "yesterday"), "yesterday"},
		{append(backup, "--as", "demo/web", "--claim", "c", "-o", "xml"), "xml"},
		{append(backup, "--as", "demo/web", "--claim", "c", "--compression", "best"), "off, fast, default and max"},
		{[]string{"volume", "backup", "--as", "demo/web", "--claim", "c"}, "one directory"},
		{[]string{"volume", "restore", "demo/web", "--claim", "c"}, "a StatefulSet and a directory"},
		{[]string{"volume", "restore", "web", dir, "--claim", "c"}, "names no namespace"},
		{[]string{"volume", "cat", "demo/web", "--claim", "c"}, "a path"},
		{[]string{"volume", "burn"}, "backup, restore, ls and cat"},
	}
	for _, tt := range tests {
		s.run(exitUsage, tt.args...)
		s.says(tt.says)
	}
	s.env["STSBACKUP_PASSWORD"] = ""
	s.run(exitUsage, append(backup, "--as", "demo/web", "--claim", "c")...)
	s.says("--password-file")
	if left, err := filepath.Glob(filepath.Join(strings.TrimPrefix(s.env["STSBACKUP_REPO"], "file://"), "*")); err != nil || len(left) > 0 {
		t.Errorf("wrong usage left %v in the bucket", left)
	}
}

func TestVolumeNotFound(t *testing.T) {
	s := volumeShell(t)
	s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0")
	target := filepath.Join(t.TempDir(), "target")
	s.run(exitNotFound, "volume", "restore", "demo/other", target, "--claim", "www-web-0")
	s.says("demo/other", "no repository")
	s.run(exitNotFound, "volume", "restore", "demo/web", target, "--claim", "www-web-7")
	s.says("www-web-7")
	s.run(exitNotFound, "volume", "restore", "demo/web@latest", target, "--claim", "www-web-0")
	s.says("no complete recovery point")
	s.run(exitNotFound, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--repository-snapshot", strings.Repeat("ab", 32))
	s.run(exitNotFound, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--repository-snapshot", strings.Repeat("0", 64))
	s.env["STSBACKUP_PASSWORD"] = "wrong"
	s.run(exitFailed, "volume", "restore", "demo/web", target, "--claim", "www-web-0")
	s.says("wrong password", "demo/web")
	if _, err := os.Stat(target); err == nil {
		t.Error("a restore that found nothing made its target")
	}
}

func TestVolumeRestoreKeepsWhatIsThere(t *testing.T) {
	s := volumeShell(t)
	source, target := site(t), site(t)
	s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
	extra := filepath.Join(target, "data", "extra")
	for path, content := range map[string]string{extra: "mine", filepath.Join(target, "index.html"): "mine"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.run(exitFailed, "volume", "restore", "demo/web", target, "--claim", "www-web-0")
	s.says("exists already", "--replace")
	s.run(0, "volume", "restore", "demo/web", target, "--claim", "www-web-0", "--replace")
	if err := os.Remove(extra); err != nil {
		t.Errorf("a file that was in nobody's way is gone: %v", err)
	}
	sameFiles(t, source, target)
}

func TestVolumeResultFile(t *testing.T) {
	s := volumeShell(t)
	file := filepath.Join(t.TempDir(), "termination-log")
	password := filepath.Join(t.TempDir(), "password")
	// A mover has the password of its repository, and no root password.
	s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0")
	if err := os.WriteFile(password, []byte("of one repository\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(s.env, "STSBACKUP_PASSWORD")
	s.run(
		exitFailed,
		"volume",
		"restore",
		"demo/web",
		t.TempDir(),
		"--claim",
		"www-web-0",
		"--repository-password-file",
		password,
		"--result-file",
		file,
	)
	var failure struct {
		Error string `json:"error"`
	}
	decode(t, read(t, file), &failure)
	if !strings.Contains(failure.Error, "wrong password") {
		t.Errorf("result file after a failure: %+v", failure)
	}

	args := []string{
		"volume",
		"backup",
		site(t),
		"--as",
		"demo/db",
		"--claim",
		"data-db-1",
		"--ordinal",
		"1",
		"--recovery-point",
		"20261121T081200Z-3fa9",
		"--repository-password-file",
		password,
		"--result-file",
		file,
	}
	progress := s.run(0, args...)
	var result archive.Result
	decode(t, read(t, file), &result)
	if result.RepositorySnapshot == "" || result.Files != 3 {
		t.Errorf("result file after success: %+v", result)
	}
	for line := range strings.Lines(progress) {
		var p archive.Progress
		decode(t, line, &p)
	}
	if progress == "" {
		t.Error("no progress on standard output")
	}
	// It is part of a recovery point that has no record: not a backup, so nobody may restore it by accident.
	s.run(exitNotFound, "volume", "restore", "demo/db", t.TempDir(), "--claim", "data-db-1", "--repository-password-file", password)
	s.run(0, "volume", "restore", "demo/db", t.TempDir(), "--claim", "data-db-1", "--repository-password-file", password,
		"--repository-snapshot", result.RepositorySnapshot)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

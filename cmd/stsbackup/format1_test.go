package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// TestFormat1 uses a repository in version 1 of the format: commands that only read work. Commands that would have to
// write data are refused before they do anything, with the command that helps.
func TestFormat1(t *testing.T) {
	s := volumeShell(t)
	password := catalog.Password(repository.Secret(s.env["STSBACKUP_PASSWORD"]), "demo", "web")
	place := filepath.Join(s.root(), "demo", "web")
	restic := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "restic", append([]string{"--no-cache", "-q", "-r", place}, args...)...)
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password.Reveal())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		t.Fatal(err)
	}
	source := site(t)
	restic("init", "--repository-version", "1")
	restic("backup", source)
	before := files(t, s.root())
	for _, args := range [][]string{
		{"volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0"},
		{"prune", "demo/web", "--dry-run"},
		{"prune", "demo/web"},
	} {
		s.run(exitFailed, args...)
		s.says("repository format version 1", "restic migrate upgrade_repo_v2")
		if !maps.Equal(before, files(t, s.root())) {
			t.Errorf("%v changed the repository", args)
		}
	}
	for _, args := range [][]string{
		{"list", "demo/web"}, {"verify", "demo/web", "--read-data"}, {"unlock", "demo/web"}, {"key", "list", "demo/web"},
		{"repair", "demo/web"},
	} {
		s.run(0, args...)
	}
	restic("migrate", "upgrade_repo_v2")
	s.run(0, "prune", "demo/web", "--dry-run")
	s.run(0, "volume", "backup", source, "--as", "demo/web", "--claim", "www-web-0")
}

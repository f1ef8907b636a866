package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/internal/upkeep"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
)

func TestKeyPrint(t *testing.T) {
	s := volumeShell(t)
	s.env["STSBACKUP_REPO"] = "" // this command needs no URL
	want := catalog.Password("secret", "demo", "web").Reveal()
	if got := s.run(0, "key", "print", "demo/web"); got != want+"\n" {
		t.Errorf("%q, want %q", got, want)
	}
	if got := s.run(0, "key", "print", "web", "-n", "demo", "-o", "json"); !strings.Contains(got, want) ||
		!strings.Contains(got, `"demo/web"`) {
		t.Error(got)
	}
	s.run(exitUsage, "key", "print", "demo/web@latest")
	s.env["STSBACKUP_PASSWORD"] = ""
	s.run(exitUsage, "key", "print", "demo/web")
}

// TestRootPasswordChange runs the steps that the help of key lists.
func TestRootPasswordChange(t *testing.T) {
	s := volumeShell(t)
	s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0")
	fresh := filepath.Join(t.TempDir(), "new.password")
	if err := os.WriteFile(fresh, []byte("new secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var added map[string]string
	decode(t, s.run(0, "key", "add", "demo/web", "--new-password-file", fresh, "-o", "json"), &added)
	var keys []repository.KeyInfo
	decode(t, s.run(0, "key", "list", "demo/web", "--password-file", fresh, "-o", "json"), &keys)
	if len(keys) != 2 {
		t.Fatalf("%+v", keys)
	}
	for _, key := range keys {
		if key.InUse != (key.ID.String() == added["added"]) {
			t.Errorf("%+v", key)
		}
		if !key.InUse {
			s.run(exitNotFound, "key", "remove", "demo/web", "xyz")
			s.says("key list")
			s.run(exitRefused, "key", "remove", "demo/web", key.ID.Short())
			s.says("the one in use")
			s.run(0, "key", "remove", "demo/web", key.ID.Short(), "--password-file", fresh)
		}
	}
	s.run(exitFailed, "key", "list", "demo/web")
	s.says("wrong password")
	if out := s.run(0, "key", "list", "demo/web", "--password-file", fresh); strings.Count(out, "\n") != 2 ||
		!strings.Contains(out, "in use") {
		t.Error(out)
	}
	s.run(0, "volume", "restore", "demo/web", t.TempDir(), "--claim", "www-web-0", "--password-file", fresh)

	s.run(exitUsage, "key", "add", "demo/web", "--password-file", fresh)
	s.says("--new-password-file")
	// The error names the flag that names the file.
	s.run(exitFailed, "key", "add", "demo/web", "--password-file", fresh, "--new-password-file", fresh+".none")
	s.says("name a file that can be read with --new-password-file or ")
	s.run(exitFailed, "key", "list", "demo/web", "--password-file", fresh+".none")
	s.says("name a file that can be read with --password-file or ")
	s.run(exitUsage, "key", "list", "demo/web@latest", "--password-file", fresh)
	s.run(0, "key", "add", "demo/web", "--new-repository-password-file", fresh, "--password-file", fresh)
	s.env["STSBACKUP_PASSWORD"] = ""
	s.run(0, "volume", "ls", "demo/web", "--claim", "www-web-0", "--repository-password-file", fresh)
}

func TestUnlockCommand(t *testing.T) {
	s := volumeShell(t)
	s.run(0, "volume", "backup", site(t), "--as", "demo/web", "--claim", "www-web-0")
	if out := s.run(0, "unlock", "demo/web"); out != "There are no locks.\n" {
		t.Error(out)
	}
	repo := s.repository()
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out := s.run(0, "unlock", "demo/web"); !strings.Contains(out, "kept, because its holder may be alive") {
		t.Error(out)
	}
	var result upkeep.UnlockResult
	decode(t, s.run(0, "unlock", "demo/web", "--remove-all", "-o", "json"), &result)
	if len(result.Removed) != 1 || len(result.Left) != 0 {
		t.Errorf("%+v", result)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(exitNotFound, "unlock", "demo/other")

	damaged := filepath.Join(s.root(), "demo/web/locks", strings.Repeat("0f", 32))
	err = errors.Join(os.MkdirAll(filepath.Dir(damaged), 0o700), os.WriteFile(damaged, []byte("damaged"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	out := s.run(exitFailed, "verify", "demo/web")
	if s.says("a lock is damaged, nothing else"); !strings.Contains(out, "stsbackup unlock") || strings.Contains(out, "DAMAGED") {
		t.Error(out)
	}
	s.run(0, "unlock", "demo/web")
	s.run(0, "verify", "demo/web")
}

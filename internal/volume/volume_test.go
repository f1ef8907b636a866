package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/location"
	"github.com/stsbackup/stsbackup/storage/repository"
)

// place is a repository in a directory.
func place(t *testing.T, operation string) Repository {
	t.Helper()
	return Repository{
		Root:     location.Config{URL: "file://" + t.TempDir(), Getenv: func(string) string { return "" }, Now: time.Now},
		Of:       catalog.Name{Namespace: "demo", StatefulSet: "web"},
		Password: "secret", Operation: operation,
	}
}

// write makes files.
func write(t *testing.T, dir string, files ...string) string {
	t.Helper()
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// holds reads a directory.
func holds(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	return files
}

// TestThereAndBack: what one mover saves, another finds, restores into an empty directory, and takes back.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	at := place(t, "mover:uid:one")
	watched := 0
	observer := Observer{Watch: func(bucket storage.Bucket) storage.Bucket { watched++; return bucket }}
	source := write(t, t.TempDir(), "a", "b")
	saved, err := Backup(t.Context(), BackupRequest{
		Repository: at, Observer: observer, Dir: source, Claim: "www-web-0", Ordinal: 0, RecoveryPoint: "20261121T081200Z-3fa91c07",
		Program: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := repository.ParseID(saved.RepositorySnapshot)
	if err != nil || watched != 1 {
		t.Fatalf("%v; the bucket is watched %d times", err, watched)
	}
	if err := Probe(t.Context(), ProbeRequest{Repository: at, Snapshots: []repository.ID{id}, Write: true}); err != nil {
		t.Errorf("a probe: %v", err)
	}
	target := t.TempDir()
	request := RestoreRequest{
		Repository: at, Snapshot: id, Claim: "www-web-0", Dir: target, IntoEmpty: true, IntoClaim: "demo/www-web-0",
		Started: time.Now(),
	}
	restored, err := Restore(t.Context(), request)
	if err != nil || restored.Result.Files != 2 || restored.Snapshot.ID != id {
		t.Fatalf("%+v, %v", restored, err)
	}
	tags := []string{
		catalog.TagStsbackup, catalog.TagClaim + "=www-web-0", catalog.TagRecoveryPoint + "=20261121T081200Z-3fa91c07", catalog.TagOrdinal + "=0",
	}
	if diff := cmp.Diff(tags, restored.Snapshot.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(holds(t, source), holds(t, target)); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	if _, err := Restore(t.Context(), request); !errors.Is(err, archive.ErrNotOurs) {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	if err := TakeBack(t.Context(), request); err != nil || len(holds(t, target)) != 0 {
		t.Errorf("%v; it holds %v", err, holds(t, target))
	}
}

// TestPeopleRestoreAnything: only a mover is bound to its own StatefulSet's claim.
func TestPeopleRestoreAnything(t *testing.T) {
	t.Parallel()
	at := place(t, "")
	saved, err := Backup(t.Context(), BackupRequest{Repository: at, Dir: write(t, t.TempDir(), "a"), Claim: "www-web-0", Ordinal: -1})
	if err != nil {
		t.Fatal(err)
	}
	id, err := repository.ParseID(saved.RepositorySnapshot)
	if err != nil {
		t.Fatal(err)
	}
	request := RestoreRequest{Repository: at, Snapshot: id, Claim: "www-web-1", Dir: t.TempDir()}
	request.Operation = "mover:uid:two"
	_, err = Restore(t.Context(), request)
	if err == nil || !strings.Contains(err.Error(), "www-web-0") {
		t.Errorf("a mover restores what is another claim's: %v", err)
	}
	request.Operation, request.Claim, request.Snapshot = "", "www-web-0", repository.ID{}
	if restored, err := Restore(t.Context(), request); err != nil || restored.Snapshot.ID != id {
		t.Errorf("a person gets %s, %v", restored.Snapshot.ID, err)
	}
}

// TestInvalidRequests: the errors come before anything is done.
func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	at := place(t, "")
	for name, do := range map[string]func() error{
		"no claim": func() error { _, err := Backup(t.Context(), BackupRequest{Repository: at}); return err },
		`"../c" cannot be the name of a claim`: func() error {
			_, err := Restore(t.Context(), RestoreRequest{Repository: at, Claim: "../c"})
			return err
		},
		`"a/b" cannot be the name`: func() error { return TakeBack(t.Context(), RestoreRequest{Repository: at, Claim: "a/b"}) },
		"--recovery-point": func() error {
			_, err := Backup(t.Context(), BackupRequest{Repository: at, Claim: "c", RecoveryPoint: "yesterday"})
			return err
		},
	} {
		var invalid *InvalidError
		if err := do(); !errors.As(err, &invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want one that says %q", err, name)
		}
	}
	if entries, err := os.ReadDir(strings.TrimPrefix(at.Root.URL, "file://")); err != nil || len(entries) > 0 {
		t.Errorf("there is something in the bucket: %v, %v", entries, err)
	}
}

package repository

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// TestResticRespectsOurLocks: beside a writer nobody removes anything, and beside a remover nobody does anything.
func TestResticRespectsOurLocks(t *testing.T) {
	bucket, _ := small(t)
	dir := inDirectory(t, bucket)
	source := t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	repo := reopen(t, directory(t, dir))
	repo.options = hasty().withDefaults()
	tries := map[string][]string{"backup": {"backup", source}, "check": {"check"}, "prune": {"prune"}}
	for name, tt := range map[string]struct {
		take    func() (*Lock, error)
		refused []string
	}{
		"a writer's": {func() (*Lock, error) { return repo.Lock(t.Context()) }, []string{"check", "prune"}},
		"exclusive":  {func() (*Lock, error) { return repo.LockExclusive(t.Context()) }, []string{"backup", "check", "prune"}},
		"none":       {nil, nil},
	} {
		var lock *Lock
		if tt.take != nil {
			var err error
			if lock, err = tt.take(); err != nil {
				t.Fatal(err)
			}
		}
		refused := strings.Join(tt.refused, " ")
		for verb, args := range tries {
			out, err := restic(t, dir, password, args...)
			if want := strings.Contains(refused, verb); (err != nil) != want || want && !strings.Contains(out, "already locked") {
				t.Errorf("restic %s beside a lock, %s: %v\n%s", verb, name, err, out)
			}
		}
		if err := lock.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestWeRespectTheLocksOfRestic runs a restic backup that does not end until we let it.
func TestWeRespectTheLocksOfRestic(t *testing.T) {
	memory, _ := small(t)
	dir := inDirectory(t, memory)
	bucket := directory(t, dir)
	cmd := exec.CommandContext(t.Context(), "restic", "--no-cache", "-q", "-r", dir, "backup", "--stdin")
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password.Reveal())
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs the restic program as the judge of the format: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	awaitLock(t, bucket, ended)

	repo := reopen(t, bucket)
	repo.options = hasty().withDefaults()
	if _, err := repo.LockExclusive(t.Context()); !errors.Is(err, ErrLocked) {
		t.Errorf("an exclusive lock: %v, want ErrLocked", err)
	}
	if _, err := repo.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrLocked) {
		t.Errorf("prune: %v, want ErrLocked", err)
	}
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatalf("a writer's lock: %v", err)
	}
	_, err = io.WriteString(input, "content")
	if err := errors.Join(err, lock.Release(t.Context()), input.Close(), <-ended); err != nil {
		t.Fatalf("restic: %v", err)
	}
	exclusive, err := repo.LockExclusive(t.Context())
	if err != nil {
		t.Fatalf("when restic has ended: %v", err)
	}
	if err := exclusive.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

// awaitLock waits until somebody holds a lock.
func awaitLock(t *testing.T, bucket storage.Bucket, ended <-chan error) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		locks, err := listIDs(t.Context(), bucket, kindLock)
		if err != nil {
			t.Fatal(err)
		}
		if len(locks) > 0 {
			return
		}
		select {
		case <-look.C:
		case err := <-ended:
			t.Fatalf("restic has ended too soon: %v", err)
		case <-t.Context().Done():
			t.Fatal("no lock was taken")
		}
	}
}

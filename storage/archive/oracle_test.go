package archive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	password = repository.Secret("correct horse")
	claim    = "www-web-0"
)

// restic runs the stock restic binary, the reference for the format, on a repository in a directory.
func restic(t *testing.T, repo, dir string, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of the format: apt-get install restic")
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--no-cache", "-q", "-r", repo}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password.Reveal())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("restic %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// bed is a repository in a directory, for us and for restic.
type bed struct {
	dir  string
	repo *repository.Repository
}

func newBed(t *testing.T) bed {
	t.Helper()
	dir := t.TempDir()
	bucket, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Init(t.Context(), bucket, password, repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return bed{dir: dir, repo: repo}
}

func openBed(t *testing.T, dir string) bed {
	t.Helper()
	bucket, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), bucket, password, repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return bed{dir: dir, repo: repo}
}

func (b bed) backup(t *testing.T, dir string) archive.Result {
	t.Helper()
	result, err := archive.Backup(t.Context(), b.repo, archive.Source{
		Dir: dir, Name: claim, Host: "demo/web", Tags: []string{"stsbackup", "claim=" + claim}, Program: "stsbackup test",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// latest is the newest repository snapshot.
func (b bed) latest(t *testing.T) repository.Snapshot {
	t.Helper()
	snapshots, err := b.repo.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshots) == 0 {
		t.Fatal("there is no repository snapshot")
	}
	return snapshots[len(snapshots)-1]
}

func (b bed) restore(t *testing.T, dir string) archive.Result {
	t.Helper()
	result, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: b.latest(t), Name: claim, Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// same compares two trees entry by entry.
func same(t *testing.T, want, got string) {
	t.Helper()
	compare(t, describe(t, want), describe(t, got))
}

func compare(t *testing.T, want, got map[string]entry) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trees differ (-want +got):\n%.8000s", diff)
	}
}

// volume makes a directory with one of everything, named after the claim, as restic and we see it.
func volume(t *testing.T) (parent, dir string) {
	t.Helper()
	parent = t.TempDir()
	dir = filepath.Join(parent, claim)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	specimen(t, dir)
	return parent, dir
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	odd(t, source)
	stamp(t, source)
	b := newBed(t)
	saved := b.backup(t, source)
	target := t.TempDir()
	restored := b.restore(t, target)
	same(t, source, target)

	if saved.ProblemCount != 0 || restored.ProblemCount != 0 {
		t.Errorf("problems: %v, %v", saved.Problems, restored.Problems)
	}
	if saved.Files != restored.Files || saved.Directories != restored.Directories || saved.Others != restored.Others ||
		saved.Bytes != restored.Bytes || saved.RepositorySnapshot != restored.RepositorySnapshot {
		t.Errorf("saved %+v, restored %+v", saved, restored)
	}
	// Holes of the source, and runs of zeros, are not written.
	var stat unixStat
	info, err := os.Stat(filepath.Join(target, "data/sparse"))
	if err != nil {
		t.Fatal(err)
	}
	stat = *info.Sys().(*unixStat)
	if stat.Blocks*512 > 20<<20 {
		t.Errorf("the sparse file takes %d MiB on disk", stat.Blocks*512>>20)
	}
}

func TestResticReadsOurs(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	b := newBed(t)
	result := b.backup(t, source)

	restic(t, b.dir, "", "check", "--read-data")
	target := t.TempDir()
	restic(t, b.dir, "", "restore", "--target", target, "latest")
	same(t, source, filepath.Join(target, claim))

	var snapshots []struct {
		ID       string    `json:"id"`
		Time     time.Time `json:"time"`
		Hostname string    `json:"hostname"`
		Tags     []string  `json:"tags"`
		Paths    []string  `json:"paths"`
	}
	if err := json.Unmarshal([]byte(restic(t, b.dir, "", "snapshots", "--json")), &snapshots); err != nil {
		t.Fatal(err)
	}
	if len(snapshots) != 1 {
		t.Fatalf("restic sees %d repository snapshots", len(snapshots))
	}
	s := snapshots[0]
	if s.ID != result.RepositorySnapshot || s.Hostname != "demo/web" || time.Since(s.Time).Abs() > time.Hour {
		t.Errorf("restic sees %+v", s)
	}
	if diff := cmp.Diff([]string{"stsbackup", "claim=" + claim}, s.Tags); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/" + claim}, s.Paths); diff != "" {
		t.Error(diff)
	}
	// restic can work on the repository as if it were its own.
	restic(t, b.dir, "", "prune")
	restic(t, b.dir, "", "check", "--read-data")
	again := t.TempDir()
	openBed(t, b.dir).restore(t, again)
	same(t, source, again)
}

func TestWeReadRestics(t *testing.T) {
	t.Parallel()
	parent, source := volume(t)
	tests := map[string]struct{ init, backup []string }{
		"compressed":        {backup: []string{"--compression", "auto"}},
		"compressed to max": {backup: []string{"--compression", "max"}},
		"not compressed":    {backup: []string{"--compression", "off"}},
		"version 1":         {init: []string{"--repository-version", "1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			restic(t, dir, "", append([]string{"init"}, tt.init...)...)
			restic(t, dir, parent, append([]string{"backup", claim, "--exclude", "lost+found"}, tt.backup...)...)
			target := t.TempDir()
			openBed(t, dir).restore(t, target)
			same(t, source, target)
		})
	}
}

func TestVersion1IsNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	restic(t, dir, "", "init", "--repository-version", "1")
	_, err := archive.Backup(t.Context(), openBed(t, dir).repo, archive.Source{Dir: t.TempDir(), Name: claim}, nil)
	if err == nil || !strings.Contains(err.Error(), "upgrade_repo_v2") {
		t.Errorf("backup into a repository of version 1: %v, want an error that says how to upgrade", err)
	}
	restic(t, dir, "", "check")
}

// TestSharedRepository has restic and us write one repository in turn: each deduplicates against the other's trees and leaves the other's
// repository snapshots whole.
func TestSharedRepository(t *testing.T) {
	t.Parallel()
	parent, source := volume(t)
	b := newBed(t)
	b.backup(t, source)
	restic(t, b.dir, parent, "backup", claim)
	second := b.backup(t, source)
	if second.BytesStored > 64<<10 {
		t.Errorf("saving the same again stored %d bytes", second.BytesStored)
	}
	restic(t, b.dir, "", "check", "--read-data")
	for _, snapshot := range must(b.repo.Snapshots(t.Context()))(t) {
		target := t.TempDir()
		if _, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: snapshot, Name: claim, Dir: target}, nil); err != nil {
			t.Fatal(err)
		}
		same(t, source, target)
	}
}

// TestTwoWritersAtOnce simulates two processes that save different volumes into one repository at the same time: neither has written
// anything when the other looks at what is stored.
func TestTwoWritersAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	sources := []string{t.TempDir(), t.TempDir()}
	var group, absent sync.WaitGroup
	absent.Add(len(sources))
	for i, source := range sources {
		generate(t, source, 300, uint64(i))
		builder{t: t, root: source}.file("common", filler(20<<20, 1), 0o644)
		bucket := &meeting{Bucket: must(local.Open(local.Config{Dir: b.dir}))(t), absent: &absent}
		repo := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
		group.Go(func() {
			defer bucket.once.Do(absent.Done) // if it fails before that, the other one does not wait
			_, err := archive.Backup(t.Context(), repo, archive.Source{Dir: source, Name: claim, Host: fmt.Sprintf("demo/%d", i)}, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	restic(t, b.dir, "", "check", "--read-data")
	snapshots := must(b.repo.Snapshots(t.Context()))(t)
	if len(snapshots) != 2 || snapshots[0].Hostname == snapshots[1].Hostname {
		t.Errorf("%d repository snapshots, want one of each volume", len(snapshots))
	}
	for _, snapshot := range snapshots {
		target := t.TempDir()
		if _, err := archive.Restore(t.Context(), b.repo, archive.Target{Snapshot: snapshot, Name: claim, Dir: target}, nil); err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(strings.TrimPrefix(snapshot.Hostname, "demo/"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, sources[i], target)
	}
}

// must passes on a value, or stops the test.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestGeneratedTrees(t *testing.T) {
	t.Parallel()
	tests := []struct {
		count int
		seed  uint64
	}{{40, uint64(time.Now().UnixNano())}, {700, uint64(time.Now().UnixNano() + 1)}, {12_000, 3}}
	for _, tt := range tests {
		t.Logf("tree of %d entries from seed %d", tt.count, tt.seed)
		source, target, judged := t.TempDir(), t.TempDir(), t.TempDir()
		if tt.count > 1000 {
			source, target, judged = inMemory(t, big), inMemory(t, big), inMemory(t, big)
		}
		generate(t, source, tt.count, tt.seed)
		b := newBed(t)
		b.backup(t, source)
		b.restore(t, target)
		want := describe(t, source)
		compare(t, want, describe(t, target))
		restic(t, b.dir, "", "check", "--read-data")
		restic(t, b.dir, "", "restore", "--target", judged, "latest")
		compare(t, want, describe(t, filepath.Join(judged, claim)))
	}
}

func TestCancelledBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	_, source := volume(t)
	b := newBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := archive.Backup(ctx, b.repo, archive.Source{Dir: source, Name: claim}, cancelAfter{3, cancel})
	if err == nil {
		t.Fatal("the backup succeeded")
	}
	for _, folder := range []string{"snapshots", "locks"} {
		if left, err := filepath.Glob(filepath.Join(b.dir, folder, "*")); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", folder, left, err)
		}
	}
	b.backup(t, source)
	restic(t, b.dir, "", "check", "--read-data")
}

// cancelAfter cancels when the given number of files is reported.
type cancelAfter struct {
	files  int64
	cancel context.CancelFunc
}

func (c cancelAfter) Report(p archive.Progress) {
	if p.Files >= c.files {
		c.cancel()
	}
}

// TestSeveralPasswords opens a repository that restic has given a second password, with each password.
func TestSeveralPasswords(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.backup(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "new password")
	if err := os.WriteFile(file, []byte("battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	restic(t, b.dir, "", "key", "add", "--new-password-file", file)
	bucket := must(local.Open(local.Config{Dir: b.dir}))(t)
	for _, p := range []repository.Secret{password, "battery staple"} {
		repo, err := repository.Open(t.Context(), bucket, p, repository.Options{})
		if err != nil || repo.ID() != b.repo.ID() {
			t.Errorf("open: %v", err)
		}
	}
	if _, err := repository.Open(t.Context(), bucket, "horse battery", repository.Options{}); !errors.Is(err, repository.ErrWrongPassword) {
		t.Errorf("open with a wrong password: %v", err)
	}
}

package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/local"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// volume is the content of a repository snapshot in these tests, in a directory www: names to contents.
type volume map[string]string

// noise is n bytes that do not compress and are the same every time.
func noise(seed string, n int) string {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
		out = append(out, sum[:]...)
	}
	return string(out[:n])
}

// hasty is quick, with locks that settle at once.
func hasty() Options {
	options := quick()
	options.PID = os.Getpid()
	options.timing = defaultLockTiming()
	options.timing.settle = time.Microsecond
	return options
}

// backUp saves a volume as archive does: under a lock, data before index before repository snapshot.
func backUp(ctx context.Context, repo *Repository, v volume) (id ID, err error) {
	lock, err := repo.Lock(ctx)
	if err != nil {
		return ID{}, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	if err := repo.LoadIndex(lock.Context()); err != nil {
		return ID{}, err
	}
	w, err := repo.NewWriter(lock.Context())
	if err != nil {
		return ID{}, err
	}
	tree, err := saveVolume(lock.Context(), w, v)
	if err != nil {
		w.Abort()
		return ID{}, err
	}
	if err := w.Flush(); err != nil {
		return ID{}, err
	}
	id, _, err = repo.SaveSnapshot(lock.Context(), Snapshot{Time: repo.Now(), Tree: &tree, Paths: []string{"/www"}, Hostname: "demo/web"})
	return id, err
}

func saveVolume(ctx context.Context, w *Writer, v volume) (ID, error) {
	var folder, root treeblob.Encoder
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		node := treeblob.Node{Name: name, Type: treeblob.File, Mode: 0o644, ModTime: at, Size: uint64(len(v[name])), Links: 1, Content: []ID{}}
		for piece := range slices.Chunk([]byte(v[name]), 2048) {
			id, err := w.SaveBlob(ctx, DataBlob, piece)
			if err != nil {
				return ID{}, err
			}
			node.Content = append(node.Content, id)
		}
		if err := folder.Add(node); err != nil {
			return ID{}, err
		}
	}
	subtree, err := w.SaveBlob(ctx, TreeBlob, folder.Bytes())
	if err != nil {
		return ID{}, err
	}
	if err := root.Add(treeblob.Node{Name: "www", Type: treeblob.Dir, Mode: fs.ModeDir | 0o755, ModTime: at, Subtree: &subtree}); err != nil {
		return ID{}, err
	}
	return w.SaveBlob(ctx, TreeBlob, root.Bytes())
}

// readBack restores a volume.
func readBack(ctx context.Context, repo *Repository, id ID) (volume, error) {
	snapshot, err := repo.LoadSnapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return nil, err
	}
	root, err := repo.LoadTree(ctx, *snapshot.Tree)
	if err != nil {
		return nil, err
	}
	nodes, err := repo.LoadTree(ctx, *root[0].Subtree)
	if err != nil {
		return nil, err
	}
	v := volume{}
	for _, node := range nodes {
		var content strings.Builder
		for _, piece := range node.Content {
			data, err := repo.LoadBlob(ctx, DataBlob, piece)
			if err != nil {
				return nil, err
			}
			content.Write(data)
		}
		v[node.Name] = content.String()
	}
	return v, nil
}

// mustBackUp is backUp, but fails the test on an error.
func mustBackUp(t *testing.T, repo *Repository, v volume) ID {
	t.Helper()
	id, err := backUp(t.Context(), repo, v)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// sound checks that a repository is undamaged and holds these volumes, as another process sees it.
func sound(t *testing.T, bucket storage.Bucket, want map[ID]volume) CheckReport {
	t.Helper()
	repo, err := openAny(t.Context(), bucket, hasty())
	if err != nil {
		t.Fatal(err)
	}
	report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		t.Errorf("problems: %v", report.Problems)
	}
	for id, v := range want {
		got, err := readBack(t.Context(), repo, id)
		if err != nil {
			t.Fatalf("restore %s: %v", id.Short(), err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("restored %s (-want +got):\n%.500s", id.Short(), diff)
		}
	}
	return report
}

// restic runs the stock restic binary, the reference for the format, on a repository in a directory.
func restic(t *testing.T, repo string, secret Secret, args ...string) (string, error) {
	t.Helper()
	binary, err := exec.LookPath("restic")
	if err != nil {
		t.Fatal("this test needs the restic program as the judge of the format: apt-get install restic")
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--no-cache", "-q", "-r", repo}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+secret.Reveal())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRestic(t *testing.T, repo string, args ...string) {
	t.Helper()
	out, err := restic(t, repo, password, args...)
	if err != nil && strings.Contains(out, "wrong password") {
		out, err = restic(t, repo, newPassword, args...)
	}
	if err != nil {
		t.Fatalf("restic %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// resticJudges has restic check a repository and restore every volume of it.
func resticJudges(t *testing.T, dir string, want map[ID]volume) {
	t.Helper()
	mustRestic(t, dir, "--no-lock", "check", "--read-data") // a dead process's lock is not under test
	for id, v := range want {
		target := t.TempDir()
		mustRestic(t, dir, "--no-lock", "restore", id.String(), "--target", target)
		got := volume{}
		for name := range v {
			data, err := os.ReadFile(filepath.Join(target, "www", name))
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(data)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("restic restored %s (-want +got):\n%.500s", id.Short(), diff)
		}
	}
}

// inDirectory copies a repository into a directory, for restic.
func inDirectory(t *testing.T, bucket storage.Bucket) string {
	t.Helper()
	dir := t.TempDir()
	target := directory(t, dir)
	for _, name := range list(t, bucket, "") {
		put(t, target, name, get(t, bucket, name))
	}
	for _, folder := range []string{"data", "index", "keys", "locks", "snapshots"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func directory(t *testing.T, dir string) storage.Bucket {
	t.Helper()
	bucket, err := local.Open(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

package repository

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// copyOf is another bucket with the same objects.
func copyOf(t *testing.T, bucket storage.Bucket) *storagetest.Memory {
	t.Helper()
	fresh := storagetest.NewMemory()
	for _, name := range list(t, bucket, "") {
		put(t, fresh, name, get(t, bucket, name))
	}
	return fresh
}

// worn is a repository that gives prune something of everything: packs to keep, to repack and to remove, and one that
// no index knows.
func worn(t *testing.T) (*storagetest.Memory, map[ID]volume) {
	t.Helper()
	bucket := storagetest.NewMemory()
	repo, err := Init(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	shared, own := noise("shared", 20_000), noise("own", 20_000)
	first := mustBackUp(t, repo, volume{"shared": shared, "own": own})
	alone := mustBackUp(t, repo, volume{"alone": noise("alone", 15_000)})
	kept := volume{"shared": shared, "new": noise("new", 10_000)}
	second := mustBackUp(t, repo, kept)
	third := mustBackUp(t, repo, volume{"index.html": "<h1>web-0</h1>\n"})
	forget(t, repo, first, alone)
	put(t, bucket, kindData.name(Hash([]byte("unindexed"))), []byte(noise("unindexed", 3000)))
	return bucket, map[ID]volume{second: kept, third: {"index.html": "<h1>web-0</h1>\n"}}
}

func forget(t *testing.T, repo *Repository, ids ...ID) {
	t.Helper()
	lock, err := repo.LockExclusive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lock.RemoveSnapshots(ids...), lock.Release(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func TestPrune(t *testing.T) {
	bucket, volumes := worn(t)
	before := list(t, bucket, "")
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	planned, err := repo.Prune(t.Context(), PruneOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, list(t, bucket, "")) {
		t.Error("a dry run changed the bucket")
	}
	done, err := repo.Prune(t.Context(), PruneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if planned.DryRun = false; planned != done {
		t.Errorf("planned %+v, done %+v", planned, done)
	}
	if done.PacksKept == 0 || done.PacksRepacked == 0 || done.PacksRemoved == 0 || done.PacksUnindexed != 1 || done.BytesUnused != 0 ||
		done.BytesRemoved < 35_000 || done.BytesRewritten < 20_000 || done.Snapshots != 2 {
		t.Errorf("%+v", done)
	}
	report := sound(t, bucket, volumes)
	if report.Unindexed != 0 {
		t.Errorf("%+v", report)
	}
	if size := total(t, bucket, "data/"); size > done.BytesNeeded+5000 {
		t.Errorf("%d bytes of packs for %d that are needed", size, done.BytesNeeded)
	}
	resticJudges(t, inDirectory(t, bucket), volumes)

	after := list(t, bucket, "")
	again, err := repo.Prune(t.Context(), PruneOptions{})
	if err != nil || again.PacksRepacked+again.PacksRemoved+again.PacksUnindexed != 0 || !slices.Equal(after, list(t, bucket, "")) {
		t.Errorf("a second prune: %+v, %v", again, err)
	}
	// The pruned repository is good for a backup, which relies on stored data.
	for _, v := range volumes {
		volumes[mustBackUp(t, repo, v)] = v
	}
	sound(t, bucket, volumes)
}

func total(t *testing.T, bucket storage.Bucket, prefix string) (size int64) {
	t.Helper()
	err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		size += info.Size
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestPruneKeepsWhatIsCheapToKeep allows as much waste as there is.
func TestPruneKeepsWhatIsCheapToKeep(t *testing.T) {
	bucket, volumes := worn(t)
	report, err := reopen(t, bucket).Prune(t.Context(), PruneOptions{MaxUnused: 2})
	if err != nil || report.PacksRepacked != 0 || report.BytesUnused == 0 || report.PacksRemoved == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	sound(t, bucket, volumes)
}

func TestPruneOfEverything(t *testing.T) {
	bucket, volumes := worn(t)
	repo := reopen(t, bucket)
	for id := range volumes {
		forget(t, repo, id)
	}
	if _, err := repo.Prune(t.Context(), PruneOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := append(list(t, bucket, "data/"), list(t, bucket, "index/")...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	resticJudges(t, inDirectory(t, bucket), nil)
}

// TestPruneRefusesDamage removes nothing from a repository that it cannot read completely.
func TestPruneRefusesDamage(t *testing.T) {
	whole, volumes := worn(t)
	data := map[ID]bool{}
	repo := reopen(t, whole)
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes {
		for _, content := range v {
			at, err := repo.Locate(DataBlob, Hash([]byte(content[:min(2048, len(content))])))
			if err != nil {
				t.Fatal(err)
			}
			data[at.Pack] = true
		}
	}
	damage := func(name string, change func(*storagetest.Memory)) {
		bucket := copyOf(t, whole)
		change(bucket)
		before := list(t, bucket, "")
		if report, err := reopen(t, bucket).Prune(t.Context(), PruneOptions{}); err == nil {
			t.Errorf("%s: pruned all the same: %+v", name, report)
		}
		gone := 0
		for _, object := range before {
			if _, err := bucket.Stat(t.Context(), object); err != nil {
				gone++
			}
		}
		if gone > 0 {
			t.Errorf("%s: %d objects are gone", name, gone)
		}
	}
	for _, name := range slices.Concat(list(t, whole, "index/"), list(t, whole, "snapshots/")) {
		damage("flipped "+name, func(bucket *storagetest.Memory) { put(t, bucket, name, flip(get(t, bucket, name), 20)) })
	}
	for id := range data {
		damage("missing pack", func(bucket *storagetest.Memory) {
			if err := bucket.Delete(t.Context(), kindData.name(id)); err != nil {
				t.Fatal(err)
			}
		})
		damage("short pack", func(bucket *storagetest.Memory) {
			put(t, bucket, kindData.name(id), get(t, bucket, kindData.name(id))[:100])
		})
	}
}

func TestPruneNeedsToBeAlone(t *testing.T) {
	bucket, _ := worn(t)
	repo := reopen(t, bucket)
	lock, err := repo.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.RemoveSnapshots(ID{}); err == nil {
		t.Error("removed with a writer's lock")
	}
	before := list(t, bucket, "")
	if _, err := repo.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
	if !slices.Equal(before, list(t, bucket, "")) {
		t.Error("changed something")
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPruneAndResticInTurns has us and restic prune what the other wrote.
func TestPruneAndResticInTurns(t *testing.T) {
	dir, source := filepath.Join(t.TempDir(), "repo"), t.TempDir()
	mustRestic(t, dir, "init")
	write := func(names ...string) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(source, name), []byte(noise(name, 200_000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		mustRestic(t, dir, "backup", source)
	}
	write("a", "b")
	if err := os.Remove(filepath.Join(source, "a")); err != nil {
		t.Fatal(err)
	}
	write("c")
	mustRestic(t, dir, "forget", "--keep-last", "1")
	bucket := directory(t, dir)
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	report, err := repo.Prune(t.Context(), PruneOptions{})
	if err != nil || report.PacksRepacked+report.PacksRemoved == 0 {
		t.Errorf("%+v, %v", report, err)
	}
	mustRestic(t, dir, "check", "--read-data")
	target := t.TempDir()
	mustRestic(t, dir, "restore", "latest", "--target", target)
	for _, name := range []string{"b", "c"} {
		if data, err := os.ReadFile(filepath.Join(target, source, name)); err != nil || string(data) != noise(name, 200_000) {
			t.Errorf("restic restored %d bytes of %s, %v", len(data), name, err)
		}
	}

	ours := volume{"ours": noise("ours", 50_000)}
	first, second := mustBackUp(t, repo, ours), mustBackUp(t, repo, volume{"ours": strings.Repeat("text", 5000)})
	mustRestic(t, dir, "forget", second.String(), "--prune", "--max-unused", "0")
	sound(t, bucket, map[ID]volume{first: ours})
}

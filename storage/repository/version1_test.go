package repository

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVersion1 has stock restic write a repository as it did before compression. Everything that only reads or removes
// works on it, and everything that would write packs says how to upgrade. After the upgrade it holds both forms, and is
// like any other.
func TestVersion1(t *testing.T) {
	dir, source := filepath.Join(t.TempDir(), "repo"), t.TempDir()
	mustRestic(t, dir, "init", "--repository-version", "1")
	write := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(source, name), []byte(strings.Repeat(name, 50_000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		mustRestic(t, dir, "backup", source)
		for _, name := range names {
			if err := os.Remove(filepath.Join(source, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("a", "b")
	write("b", "c")
	bucket := directory(t, dir)
	report := sound(t, bucket, nil)
	if report.Snapshots != 2 || report.PacksRead == 0 || report.Unindexed != 0 {
		t.Errorf("%+v", report)
	}
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	second, err := repo.AddKey(t.Context(), "second")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := restic(t, dir, "second", "check"); err != nil {
		t.Errorf("restic with the second password: %v\n%s", err, out)
	}
	if err := repo.RemoveKey(t.Context(), second); err != nil {
		t.Error(err)
	}
	snapshots, err := repo.Snapshots(t.Context())
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("%d repository snapshots, %v", len(snapshots), err)
	}
	forget(t, repo, snapshots[0].ID)
	mustRestic(t, dir, "check", "--read-data")

	before := list(t, bucket, "data/")
	for _, dryRun := range []bool{true, false} {
		if _, err := repo.Prune(t.Context(), PruneOptions{DryRun: dryRun}); err == nil ||
			!strings.Contains(err.Error(), "restic migrate upgrade_repo_v2") {
			t.Errorf("prune (dry run %v): %v, want an error that says how to upgrade", dryRun, err)
		}
	}
	if _, err := backUp(t.Context(), repo, volume{"a": "a"}); err == nil || !strings.Contains(err.Error(), "restic migrate upgrade_repo_v2") {
		t.Errorf("backup: %v, want an error that says how to upgrade", err)
	}
	if after := list(t, bucket, "data/"); !slices.Equal(before, after) {
		t.Errorf("packs %v, before %v", after, before)
	}
	sound(t, bucket, nil)

	mustRestic(t, dir, "migrate", "upgrade_repo_v2")
	write("d") // compressed, beside uncompressed data
	if repo, err = Open(t.Context(), bucket, password, hasty()); err != nil {
		t.Fatal(err)
	}
	planned, err := repo.Prune(t.Context(), PruneOptions{DryRun: true})
	if err != nil || planned.PacksRepacked == 0 {
		t.Fatalf("planned %+v, %v", planned, err)
	}
	done, err := repo.Prune(t.Context(), PruneOptions{})
	if err != nil || done.PacksRepacked != planned.PacksRepacked || done.BytesUnused != 0 {
		t.Errorf("prune after the upgrade: %+v, %v", done, err)
	}
	ours := volume{"ours": noise("ours", 5000)}
	sound(t, bucket, map[ID]volume{mustBackUp(t, repo, ours): ours})
	target := t.TempDir()
	mustRestic(t, dir, "check", "--read-data")
	mustRestic(t, dir, "restore", snapshots[1].ID.String(), "--target", target)
	for _, name := range []string{"b", "c"} {
		if data, err := os.ReadFile(filepath.Join(target, source, name)); err != nil || string(data) != strings.Repeat(name, 50_000) {
			t.Errorf("restic restored %d bytes of %s, %v", len(data), name, err)
		}
	}
}

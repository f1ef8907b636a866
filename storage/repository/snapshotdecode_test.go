package repository

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestSnapshotsThatTakeVeryMuchMemory has repository snapshots of up to 15 MiB, which compress to next to nothing.
func TestSnapshotsThatTakeVeryMuchMemory(t *testing.T) {
	repo, _ := newRepo(t)
	tree := Hash(nil)
	if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &tree, Tags: []string{"good"}}); err != nil {
		t.Fatal(err)
	}
	list := func(field, element string) string {
		return fmt.Sprintf(`"%s":[%s%s]`, field, strings.Repeat(element+",", 15<<20/(len(element)+1)), element)
	}
	for body, fine := range map[string]bool{
		list("tags", `""`):                                        false,
		list("tags", `"a"`):                                       false,
		list("Tags", `"a"`):                                       false,
		list("paths", `""`):                                       true,
		list("paths", `"/etc/a"`):                                 true,
		list("excludes", `""`):                                    true,
		`"hostname":"` + strings.Repeat("a", 15<<20) + `"`:        false,
		`"username":"` + strings.Repeat("a", 15<<20) + `"`:        false,
		`"program_version":"` + strings.Repeat("a", 15<<20) + `"`: false,
		`"tags":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("a", 999)+`",`, 60), ",") + `]`: true,
	} {
		plain := []byte(`{"tree":"` + tree.String() + `",` + body + `}`)
		name := forgeObject(t, repo, kindSnapshot, append([]byte{compressedMark}, repo.zstd.Compress(nil, plain)...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		snapshots, err := repo.Snapshots(t.Context())
		runtime.GC()
		runtime.ReadMemStats(&after)
		switch {
		case fine && (err != nil || len(snapshots) != 2):
			t.Errorf("%.40s: %d, %v", body, len(snapshots), err)
		case !fine && (err == nil || !strings.Contains(err.Error(), name)):
			t.Errorf("%.40s: %v, want an error that names %s", body, err, name)
		case !slices.ContainsFunc(snapshots, func(s Snapshot) bool { return s.HasTag("good") }):
			t.Errorf("%.40s: the good one is gone", body)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 120<<20 {
			t.Errorf("%.40s: took %d MiB of memory", body, took>>20)
		}
		if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 8<<20 {
			t.Errorf("%.40s: keeps %d MiB", body, kept>>20)
		}
		if err := repo.bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSnapshotOfVeryManyPaths: a repository snapshot whose list of paths was cut is not taken for one with only its
// first path.
func TestSnapshotOfVeryManyPaths(t *testing.T) {
	repo, _ := newRepo(t)
	var paths bytes.Buffer
	for i := range 2 * keptPaths {
		fmt.Fprintf(&paths, `"/%d",`, i)
	}
	var snapshot Snapshot
	plain := fmt.Sprintf(`{"tree":%q,"paths":[%s]}`, Hash(nil), strings.TrimSuffix(paths.String(), ","))
	if err := repo.decodeObject(kindSnapshot, []byte(plain), &snapshot); err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Paths) != keptPaths || snapshot.Paths[1] != "/1" {
		t.Errorf("%d paths are kept", len(snapshot.Paths))
	}
}

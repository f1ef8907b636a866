package repository

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// takeAway removes objects from a bucket and returns them.
func takeAway(t *testing.T, bucket *storagetest.Memory, prefixes ...string) map[string][]byte {
	t.Helper()
	taken := map[string][]byte{}
	for _, prefix := range prefixes {
		for _, name := range list(t, bucket, prefix) {
			taken[name] = get(t, bucket, name)
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return taken
}

// twofold is a repository in which every blob lies in two packs. It also returns the names of the second set of packs.
func twofold(t *testing.T) (*storagetest.Memory, map[ID]volume, [2][]string) {
	t.Helper()
	repo, bucket := newRepo(t)
	repo.options = hasty().withDefaults()
	v := volume{"a": noise("a", 9000), "b": noise("b", 5000)}
	volumes := map[ID]volume{mustBackUp(t, repo, v): v}
	first := takeAway(t, bucket, "data/", "index/")
	volumes[mustBackUp(t, reopen(t, bucket), v)] = v
	second := list(t, bucket, "data/")
	for name, content := range first {
		put(t, bucket, name, content)
	}
	packs := slices.DeleteFunc(slices.Sorted(maps.Keys(first)), func(name string) bool { return !strings.HasPrefix(name, "data/") })
	return bucket, volumes, [2][]string{packs, second}
}

// TestAnyWholeCopyServes removes, or damages, either copy of everything.
func TestAnyWholeCopyServes(t *testing.T) {
	for _, damage := range []bool{false, true} {
		bucket, volumes, sets := twofold(t)
		for _, set := range sets {
			whole := map[string][]byte{}
			for _, name := range set {
				if whole[name] = get(t, bucket, name); damage {
					put(t, bucket, name, flip(whole[name], 40))
				} else {
					takeAway(t, bucket, name)
				}
			}
			if !damage {
				if report := sound(t, bucket, volumes); report.Spare != len(set) {
					t.Errorf("%d packs are said to be missing and not missed, want %d", report.Spare, len(set))
				}
			}
			report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{ReadData: 1})
			if err != nil || len(report.Damaged) > 0 || damage && len(report.Problems) != len(set) {
				t.Errorf("check: %+v, %v", report, err)
			}
			for id, v := range volumes {
				if got, err := readBack(t.Context(), reopen(t, bucket), id); err != nil || !maps.Equal(got, v) {
					t.Errorf("restore: %v", err)
				}
			}
			if !damage {
				if _, err := reopen(t, bucket).Prune(t.Context(), PruneOptions{DryRun: true}); err != nil {
					t.Errorf("prune: %v", err)
				}
			}
			for name, content := range whole {
				put(t, bucket, name, content)
			}
		}
	}
}

// TestOneOfTwoCopiesHasMore has a missing pack whose blobs are not all elsewhere.
func TestOneOfTwoCopiesHasMore(t *testing.T) {
	bucket, volumes, sets := twofold(t)
	for _, name := range sets[0] {
		takeAway(t, bucket, name)
	}
	lost := sets[1][0]
	takeAway(t, bucket, lost)
	report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{})
	if err != nil || len(report.Damaged) != 2 || !slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == lost }) {
		t.Errorf("check: %+v, %v", report, err)
	}
	for id := range volumes {
		if _, err := readBack(t.Context(), reopen(t, bucket), id); err == nil || !strings.Contains(err.Error(), "data/") {
			t.Errorf("restore: %v", err)
		}
	}
}

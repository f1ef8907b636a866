package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// small is a repository with two volumes that share some of their data.
func small(t *testing.T) (*storagetest.Memory, map[ID]volume) {
	t.Helper()
	bucket := storagetest.NewMemory()
	repo, err := Init(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	volumes := map[ID]volume{}
	for _, v := range []volume{
		{"index.html": strings.Repeat("<h1>web-0</h1>\n", 300), "data": noise("a", 9000), "empty": ""},
		{"index.html": strings.Repeat("<h1>web-1</h1>\n", 300), "data": noise("a", 9000), "log": noise("b", 5000)},
	} {
		volumes[mustBackUp(t, repo, v)] = v
	}
	return bucket, volumes
}

// TestCheckFindsEveryFlippedBit flips bits in every object in turn.
func TestCheckFindsEveryFlippedBit(t *testing.T) {
	bucket, volumes := small(t)
	held(t, reopen(t, bucket), lockObject{Time: time.Now(), Hostname: "other", PID: 1})
	report := sound(t, bucket, volumes)
	if report.Snapshots != 2 || report.Trees != 4 || report.Packs != 6 || report.PacksRead != 6 || report.BytesRead == 0 ||
		report.Unindexed != 0 {
		t.Errorf("report: %+v", report)
	}
	verify := func() (CheckReport, error) {
		repo, err := Open(t.Context(), bucket, password, hasty())
		if err != nil {
			return CheckReport{}, err
		}
		return repo.Check(t.Context(), CheckOptions{ReadData: 1})
	}
	names := list(t, bucket, "")
	if len(names) != 13 { // config, key, lock, 6 packs, 2 index objects, 2 repository snapshots
		t.Fatalf("objects: %v", names)
	}
	for _, name := range names {
		whole := get(t, bucket, name)
		for _, at := range []int{0, 17, len(whole) / 2, len(whole) - 5, len(whole) - 1} {
			put(t, bucket, name, flip(whole, at))
			report, err := verify()
			found := err != nil && strings.Contains(err.Error(), name) ||
				slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == name })
			if !found {
				t.Errorf("a bit at %d of %d in %s: %+v, %v", at, len(whole), name, report.Problems, err)
			}
			if lock := strings.HasPrefix(name, "locks/"); lock != report.OnlyLocks() {
				t.Errorf("only locks are damaged: %v, with %s", report.OnlyLocks(), name)
			}
		}
		put(t, bucket, name, whole)
	}
	sound(t, bucket, volumes)
}

// TestCheckNamesWhatIsHit damages data that only one of the two repository snapshots needs.
func TestCheckNamesWhatIsHit(t *testing.T) {
	bucket, volumes := small(t)
	repo := reopen(t, bucket)
	for id, v := range volumes {
		if _, own := v["log"]; !own {
			continue
		}
		if err := repo.LoadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		at, _ := repo.Locate(DataBlob, Hash([]byte(v["log"][:2048])))
		name := kindData.name(at.Pack)
		whole := get(t, bucket, name)
		put(t, bucket, name, flip(whole, int(at.Offset)+40))
		if report, err := repo.Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) > 0 {
			t.Errorf("without reading data: %+v, %v", report, err)
		}
		report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]ID{id}, report.Damaged); diff != "" {
			t.Errorf("damaged repository snapshots (-want +got):\n%s", diff)
		}
		for other := range volumes {
			report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1, Snapshots: []ID{other}})
			if (len(report.Problems) > 0) != (other == id) || err != nil || report.Snapshots != 1 {
				t.Errorf("check of %s alone: %+v, %v", other.Short(), report, err)
			}
		}
		put(t, bucket, name, whole[:len(whole)-1])
		if report, err = repo.Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) != 1 ||
			!slices.Equal(report.Damaged, []ID{id}) {
			t.Errorf("a pack that is too short: %+v, %v", report, err)
		}
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if report, err = repo.Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) != 1 ||
			!slices.Equal(report.Damaged, []ID{id}) {
			t.Errorf("a pack that is missing: %+v, %v", report, err)
		}
	}
}

// TestCheckFindsWhatNoIndexKnows removes an index object: its packs are unindexed, and what needs their blobs is
// damaged.
func TestCheckFindsWhatNoIndexKnows(t *testing.T) {
	bucket, volumes := small(t)
	for _, name := range list(t, bucket, "index/") {
		if err := bucket.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{})
	if err != nil || report.Unindexed != 6 || len(report.Damaged) != len(volumes) || len(report.Problems) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestCheckComparesHeadersWithTheIndex has an index that gives a blob another blob's name, in an undamaged pack.
func TestCheckComparesHeadersWithTheIndex(t *testing.T) {
	bucket, _ := small(t)
	repo := reopen(t, bucket)
	name := list(t, bucket, "index/")[0]
	id, _ := kindIndex.parseName(name)
	var object packfile.IndexObject
	err := repo.loadObject(t.Context(), kindIndex, id, &object)
	if err != nil {
		t.Fatal(err)
	}
	blobs := object.Packs[0].Blobs
	blobs[0].Type = map[BlobType]BlobType{DataBlob: TreeBlob, TreeBlob: DataBlob}[blobs[0].Type]
	if err := bucket.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, _, err := repo.saveObject(t.Context(), kindIndex, object); err != nil {
		t.Fatal(err)
	}
	report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
	pack := kindData.name(object.Packs[0].ID)
	if err != nil || !slices.ContainsFunc(report.Problems, func(p Problem) bool {
		return p.Object == pack && strings.Contains(p.Reason, "table of contents")
	}) {
		t.Errorf("%+v, %v", report.Problems, err)
	}
}

// TestResticChecksWhatWeWrote has restic, the reference for the format, check the repository of these tests.
func TestResticChecksWhatWeWrote(t *testing.T) {
	bucket, volumes := small(t)
	resticJudges(t, inDirectory(t, bucket), volumes)
}

func TestCheckReadsAShare(t *testing.T) {
	bucket, _ := small(t)
	drawn := map[int64]bool{}
	for share, want := range map[float64]int{0: 0, 0.01: 1, 0.26: 2, 0.5: 3, 0.75: 5, 1: 6} {
		for range 8 {
			calls := 0
			report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{ReadData: share, Progress: func(packs, total int) {
				if calls++; packs != calls || total != want {
					t.Errorf("progress %d of %d", packs, total)
				}
			}})
			if err != nil || report.PacksRead != want || calls != want || len(report.Problems) > 0 {
				t.Errorf("share %v: %+v, %v", share, report, err)
			}
			if want == 1 {
				drawn[report.BytesRead] = true
			}
		}
	}
	if len(drawn) < 2 {
		t.Error("the same pack is drawn every time")
	}
}

// TestCheckWithoutAVerdict: a bucket that cannot be asked is no damage.
func TestCheckWithoutAVerdict(t *testing.T) {
	memory, _ := small(t)
	count := storagetest.NewFaulty(memory, storagetest.Fault{})
	if _, err := reopen(t, count).Check(t.Context(), CheckOptions{ReadData: 1}); err != nil {
		t.Fatal(err)
	}
	for at := 3; at <= len(count.Operations()); at++ { // the first operations belong to opening the repository
		faulty := storagetest.NewFaulty(memory, storagetest.Fault{At: at, Err: storage.ErrUnreachable})
		repo, err := Open(t.Context(), faulty, password, hasty())
		if err == nil {
			var report CheckReport
			report, err = repo.Check(t.Context(), CheckOptions{ReadData: 1})
			if len(report.Problems) > 0 {
				t.Errorf("operation %d: taken for damage: %v", at, report.Problems)
			}
		}
		if !errors.Is(err, storage.ErrUnreachable) || !faulty.Fired() {
			t.Errorf("operation %d: %v", at, err)
		}
	}
}

// TestCheckOfWhatResticWrote checks a repository that restic has written and pruned, and then a damaged one.
func TestCheckOfWhatResticWrote(t *testing.T) {
	dir, source := filepath.Join(t.TempDir(), "repo"), t.TempDir()
	mustRestic(t, dir, "init")
	for i, content := range []string{noise("x", 100_000), strings.Repeat("text ", 20_000)} {
		if err := os.WriteFile(filepath.Join(source, "file"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, string(rune('a'+i))), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRestic(t, dir, "backup", source)
	}
	mustRestic(t, dir, "forget", "--keep-last", "1", "--prune", "--max-unused", "0")
	bucket := directory(t, dir)
	report := sound(t, bucket, nil)
	if report.Snapshots != 1 || report.Unindexed != 0 || report.PacksRead == 0 {
		t.Errorf("%+v", report)
	}
	for _, name := range list(t, bucket, "data/") {
		whole := get(t, bucket, name)
		put(t, bucket, name, flip(whole, 20)) // in its first blob
		report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{ReadData: 1})
		named := slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == name })
		if err != nil || !named || len(report.Damaged) == 0 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		put(t, bucket, name, whole)
	}
}

// TestCheckNamesNoEndOfProblems: a report has an end, and says how many problems it leaves out.
func TestCheckNamesNoEndOfProblems(t *testing.T) {
	bucket, _ := small(t)
	for i := range maxProblems + 7 {
		data := fmt.Appendf(nil, "no index object: %d", i)
		put(t, bucket, kindIndex.name(Hash(data)), data)
	}
	report, err := reopen(t, bucket).Check(t.Context(), CheckOptions{})
	if err != nil || len(report.Problems) != maxProblems || report.MoreProblems != 7 || report.OnlyLocks() {
		t.Errorf("%d problems and %d more, %v", len(report.Problems), report.MoreProblems, err)
	}
}

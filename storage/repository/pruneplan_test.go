package repository

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// sketch describes a pack for the planner: the size of each of its blobs. Blobs are named after numbers.
type sketch struct {
	t     BlobType
	blobs map[int]uint32
}

func (s sketch) pack(id int) *prunePack {
	pack := &prunePack{Pack: packfile.Pack{ID: ID{byte(id)}}}
	for number, length := range s.blobs {
		pack.Blobs = append(pack.Blobs, packfile.Blob{ID: ID{byte(number)}, Type: s.t, Length: length})
	}
	pack.size = packfile.Size(pack.Blobs)
	return pack
}

// TestPlanPrune says what becomes of each pack.
func TestPlanPrune(t *testing.T) {
	small := func(number int) sketch { return sketch{DataBlob, map[int]uint32{number: 1000}} }
	tree := func(number int) sketch { return sketch{TreeBlob, map[int]uint32{number: 1000}} }
	large := func(number int) sketch { return sketch{DataBlob, map[int]uint32{number: dataPackSize / 2}} }
	tests := map[string]struct {
		packs     []sketch
		needed    []int
		maxUnused float64
		want      []string
	}{
		"all needed, few small ones": {
			[]sketch{small(1), small(2), large(3), tree(4)}, []int{1, 2, 3, 4}, 0,
			[]string{"keep", "keep", "keep", "keep"},
		},
		"small ones are merged, by type": {
			[]sketch{small(1), small(2), small(3), large(4), tree(5), tree(6)}, []int{1, 2, 3, 4, 5, 6}, 0,
			[]string{"merge", "merge", "merge", "keep", "keep", "keep"},
		},
		"small trees are merged": {
			[]sketch{tree(1), tree(2), tree(3), small(4)}, []int{1, 2, 3, 4}, 0,
			[]string{"merge", "merge", "merge", "keep"},
		},
		"nothing needed": {[]sketch{small(1), small(2), small(3)}, nil, 0, []string{"remove", "remove", "remove"}},
		"waste": {
			[]sketch{{DataBlob, map[int]uint32{1: 1000, 2: 1000}}, large(3)}, []int{1, 3}, 0,
			[]string{"repack", "keep"},
		},
		"waste that may stay": {
			[]sketch{{DataBlob, map[int]uint32{1: 1000, 2: 1000}}, large(3)}, []int{1, 3}, 0.05,
			[]string{"keep", "keep"},
		},
		"waste that may stay, but is small": {
			[]sketch{{DataBlob, map[int]uint32{1: 1000, 2: 1000}}, large(3), small(4), small(5)}, []int{1, 3, 4, 5}, 0.05,
			[]string{"merge", "keep", "merge", "merge"},
		},
		"what an interrupted merge has left": {
			[]sketch{small(1), small(2), small(3), {DataBlob, map[int]uint32{1: 1000, 2: 1000, 3: 1000}}}, []int{1, 2, 3}, 0,
			[]string{"remove", "remove", "remove", "keep"},
		},
		"what an interrupted repack has left": {
			[]sketch{{DataBlob, map[int]uint32{1: 1000, 2: 5000}}, small(1)}, []int{1}, 0,
			[]string{"remove", "keep"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var packs []*prunePack
			types := map[int]BlobType{}
			for i, s := range tt.packs {
				packs = append(packs, s.pack(i+1))
				for number := range s.blobs {
					types[number] = s.t
				}
			}
			used := newBlobSet()
			for _, number := range tt.needed {
				used.add(types[number], ID{byte(number)})
			}
			plan, err := planPrune(packs, used, tt.maxUnused, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]string, len(packs))
			for what, list := range map[string][]*prunePack{
				"keep": plan.keep, "repack": plan.repack, "merge": plan.merge, "remove": plan.remove, "drop": plan.drop,
			} {
				for _, pack := range list {
					if got[pack.ID[0]-1] != "" {
						t.Errorf("pack %d: %s and %s", pack.ID[0], got[pack.ID[0]-1], what)
					}
					got[pack.ID[0]-1] = what
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if changes := slices.ContainsFunc(got, func(s string) bool { return s != "keep" }); plan.reindex != changes {
				t.Errorf("reindex %v", plan.reindex)
			}
		})
	}
}

// TestPruneMergesSmallPacks makes as many small backups as a merge needs.
func TestPruneMergesSmallPacks(t *testing.T) {
	repo, bucket := newRepo(t)
	repo.options = hasty().withDefaults()
	volumes := map[ID]volume{}
	for i := range defaultMergeFrom {
		v := volume{"data": noise("always", 3000), fmt.Sprintf("new-%d", i): noise(fmt.Sprint(i), 5000)}
		volumes[mustBackUp(t, repo, v)] = v
	}
	before := len(list(t, bucket, "data/"))
	planned, err := repo.Prune(t.Context(), PruneOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	report, err := repo.Prune(t.Context(), PruneOptions{})
	if planned.DryRun = false; err != nil || planned != report || report.PacksMerged != before ||
		report.PacksRemoved+report.PacksRepacked+report.PacksKept != 0 {
		t.Errorf("planned %+v, done %+v of %d packs, %v", planned, report, before, err)
	}
	if after := len(list(t, bucket, "data/")); after > dataPackers+treePackers || report.BytesRewritten != report.BytesNeeded {
		t.Errorf("%d packs after %d; %+v", after, before, report)
	}
	sound(t, bucket, volumes)
	resticJudges(t, inDirectory(t, bucket), volumes)
	if report, err := repo.Prune(t.Context(), PruneOptions{}); err != nil || report.PacksMerged > 0 {
		t.Errorf("again: %+v, %v", report, err)
	}
}

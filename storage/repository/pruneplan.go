package repository

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// prunePack is a pack as prune sees it.
type prunePack struct {
	packfile.Pack
	size   int64 // size in the bucket; -1 if it is not there
	needed []packfile.Blob
	kept   int64 // bytes of the needed blobs, sealed
	unused int64 // bytes of all other blobs
}

// retiredPack is a pack whose needed data has been copied elsewhere.
type retiredPack struct {
	kept   int64 // bytes that were copied
	merged bool  // copied because the pack was small, not because it was wasteful
}

// prunePlan says what to do with every pack.
type prunePlan struct {
	keep   []*prunePack // stays as it is, with its unused data
	repack []*prunePack // its needed data goes into a new pack, and it is removed
	merge  []*prunePack // it is small: its needed data goes into a new pack together with that of others, and it is removed
	remove []*prunePack // nothing in it is needed
	drop   []*prunePack // the index names it, but it is not there, and nothing in it is needed
	// unindexed are packs in no index, with their sizes.
	unindexed map[ID]int64
	// reindex says that the index changes.
	reindex bool
}

// settle keeps the packs that would have to be rewritten as they are: for when there is no time to rewrite them.
func (p *prunePlan) settle() {
	p.keep = slices.Concat(p.keep, p.repack, p.merge)
	p.repack, p.merge = nil, nil
	p.reindex = len(p.remove)+len(p.drop) > 0
}

// changes reports whether there is anything to do.
func (p *prunePlan) changes() bool { return p.reindex || len(p.unindexed) > 0 }

// rewritten are the packs whose needed blobs are copied into new ones.
func (p *prunePlan) rewritten() []*prunePack { return slices.Concat(p.repack, p.merge) }

// planPrune decides from its arguments alone. Of several copies of a blob, it counts the one in the pack with the least
// waste, and then in the largest pack, so that packs that an interrupted prune has written win over those that they
// replace. It repacks the packs with the largest share of waste first, until no more than maxUnused times the size of
// all needed data is wasted. Of the others it merges the small ones, if there are mergeFrom of a kind. A copy in a pack
// that retired names counts only if there is no other: its needed data has been copied already.
func planPrune(packs []*prunePack, used blobSet, maxUnused float64, mergeFrom int, retired map[ID]retiredPack) (prunePlan, error) {
	var plan prunePlan
	present := assignBlobs(packs, used, retired, &plan)
	if err := missingBlob(present, used); err != nil {
		return prunePlan{}, err
	}
	var kept, unused int64
	var wasteful []*prunePack
	for _, pack := range present {
		kept += pack.kept
		switch {
		case len(pack.needed) == 0:
			plan.remove = append(plan.remove, pack)
		case pack.unused == 0:
			plan.keep = append(plan.keep, pack)
		default:
			unused += pack.unused
			wasteful = append(wasteful, pack)
		}
	}
	slices.SortStableFunc(wasteful, func(a, b *prunePack) int { return cmp.Compare(b.waste(), a.waste()) })
	for _, pack := range wasteful {
		if float64(unused) > maxUnused*float64(kept) {
			plan.repack = append(plan.repack, pack)
			unused -= pack.unused
		} else {
			plan.keep = append(plan.keep, pack)
		}
	}
	plan.mergeSmall(mergeFrom)
	plan.reindex = len(plan.remove)+len(plan.repack)+len(plan.merge)+len(plan.drop) > 0
	return plan, nil
}

// mergeSmall plans to merge packs that are less than half full: every small backup leaves some, and each costs a
// request when somebody reads it. A few may stay, because a merge itself ends with some.
func (p *prunePlan) mergeSmall(mergeFrom int) {
	for _, t := range []BlobType{DataBlob, TreeBlob} {
		small := func(pack *prunePack) bool {
			return pack.blobType() == t && pack.kept < int64(packLimit(t))/2
		}
		count := 0
		for _, pack := range p.keep {
			if small(pack) {
				count++
			}
		}
		if count < mergeFrom {
			continue
		}
		var kept []*prunePack
		for _, pack := range p.keep {
			if small(pack) {
				p.merge = append(p.merge, pack)
			} else {
				kept = append(kept, pack)
			}
		}
		p.keep = kept
	}
}

// blobType is the type of the pack's blobs; data if they are mixed, as restic did long ago.
func (p *prunePack) blobType() BlobType {
	if slices.ContainsFunc(p.Blobs, func(b packfile.Blob) bool { return b.Type != TreeBlob }) {
		return DataBlob
	}
	return TreeBlob
}

// waste is the share of a pack that nobody needs.
func (p *prunePack) waste() float64 { return float64(p.unused) / float64(p.unused+p.kept) }

// assignBlobs gives every needed blob to one pack, and returns the packs that can be read. It drops the others.
func assignBlobs(packs []*prunePack, used blobSet, retired map[ID]retiredPack, plan *prunePlan) []*prunePack {
	var present []*prunePack
	for _, pack := range packs {
		pack.needed, pack.kept, pack.unused = nil, 0, 0
		if pack.size != packfile.Size(pack.Blobs) {
			plan.drop = append(plan.drop, pack)
			continue
		}
		for _, blob := range pack.Blobs {
			if _, ok := used.of(blob.Type)[blob.ID]; !ok {
				pack.unused += int64(blob.Length)
			}
		}
		present = append(present, pack)
	}
	last := func(pack *prunePack) int {
		if _, is := retired[pack.ID]; is {
			return 1
		}
		return 0
	}
	slices.SortFunc(present, func(a, b *prunePack) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(a.unused, b.unused), cmp.Compare(b.size, a.size), format.Compare(a.ID, b.ID))
	})
	assigned := newBlobSet()
	for _, pack := range present {
		pack.unused = 0
		for _, blob := range pack.Blobs {
			if _, ok := used.of(blob.Type)[blob.ID]; ok && assigned.add(blob.Type, blob.ID) {
				pack.needed = append(pack.needed, blob)
				pack.kept += int64(blob.Length)
			} else {
				pack.unused += int64(blob.Length)
			}
		}
	}
	return present
}

// missingBlob reports a needed blob that no readable pack has.
func missingBlob(present []*prunePack, used blobSet) error {
	found := newBlobSet()
	for _, pack := range present {
		for _, blob := range pack.needed {
			found.add(blob.Type, blob.ID)
		}
	}
	for _, t := range []BlobType{TreeBlob, DataBlob} {
		if missing := len(used.of(t)) - len(found.of(t)); missing > 0 {
			for id := range used.of(t) {
				if _, ok := found.of(t)[id]; !ok {
					return fmt.Errorf("%s blob %s, which a repository snapshot needs, and %d others are missing or in damaged packs: "+
						"nothing is removed from a damaged repository; see what stsbackup verify says, and forget what is damaged first", t, id, missing-1)
				}
			}
		}
	}
	return nil
}

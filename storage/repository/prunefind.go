package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// find looks at everything and makes the plan. It changes nothing. The second time, it walks only new trees.
func (p *pruner) find(ctx context.Context) error {
	// 1. Every repository snapshot counts: an unreadable one may need anything.
	snapshots, err := p.snapshots(ctx)
	if err != nil {
		return err
	}
	p.report.Snapshots = len(snapshots)
	// 2. The index, as it is in the bucket.
	packs, fresh, again, err := p.loadIndex(ctx)
	defer fresh.Close()
	if err != nil {
		return err
	}
	// 3. The packs that exist.
	unindexed, err := p.listPacks(ctx, packs)
	if err != nil {
		return err
	}
	// 4. The needed blobs.
	view := p.repo.withIndex(fresh)
	if err := p.need(ctx, view, p.newRoots(snapshots)); err != nil {
		return err
	}
	if err := p.compare(ctx, Found{Repository: view, Snapshots: snapshots, Unneeded: p.unneeded(packs)}); err != nil {
		return err
	}
	// 5. What to do about it.
	list := make([]*prunePack, 0, len(packs))
	for _, pack := range packs {
		list = append(list, pack)
	}
	p.plan, err = planPrune(list, p.used, p.options.MaxUnused, cmp.Or(p.options.mergeFrom, defaultMergeFrom), p.retired)
	if p.alone {
		p.plan.settle()
	}
	p.plan.unindexed = unindexed
	p.plan.reindex = p.plan.reindex || again
	return err
}

// need marks everything below these trees as needed.
func (p *pruner) need(ctx context.Context, view *Repository, roots []ID) error {
	trees := &walk{repo: view, seen: p.used, problem: func(t BlobType, id ID, err error) error {
		if Undecided(ctx, err) {
			return err
		}
		return fmt.Errorf(
			"%s blob %s: %w; nothing is removed from a damaged repository: see what stsbackup verify says, and use stsbackup repair",
			t,
			id,
			err,
		)
	}}
	return trees.run(ctx, roots)
}

// compare lets Options.Compare check what was found, and marks the trees that it returns as needed.
func (p *pruner) compare(ctx context.Context, found Found) error {
	if p.options.Compare == nil {
		return nil
	}
	keep, err := p.options.Compare(ctx, found)
	if err != nil {
		return err
	}
	return p.need(ctx, found.Repository, keep)
}

// unneeded are the trees in these packs that nothing needs, as far as is known so far.
func (p *pruner) unneeded(packs map[ID]*prunePack) iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for _, pack := range packs {
			for _, blob := range pack.Blobs {
				if blob.Type != TreeBlob {
					continue
				}
				if _, needed := p.used.tree[blob.ID]; !needed && !yield(blob.ID) {
					return
				}
			}
		}
	}
}

// newRoots are the trees of the repository snapshots whose needs are not known yet. If a repository snapshot with known
// needs is gone, those needs may be gone too: then newRoots returns all trees.
func (p *pruner) newRoots(snapshots []Snapshot) []ID {
	there := map[ID]bool{}
	for _, snapshot := range snapshots {
		there[snapshot.ID] = true
	}
	for id := range p.known {
		if !there[id] {
			p.known, p.used = nil, newBlobSet()
			break
		}
	}
	var roots []ID
	for _, snapshot := range snapshots {
		if !p.known[snapshot.ID] {
			roots = append(roots, *snapshot.Tree)
		}
	}
	p.known = there
	return roots
}

// snapshots reads all repository snapshots.
func (p *pruner) snapshots(ctx context.Context) ([]Snapshot, error) {
	snapshots, err := p.repo.Snapshots(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w; what cannot be read may need anything: see what stsbackup verify says, and use stsbackup repair", err)
	}
	if err != nil {
		return nil, err
	}
	ids := make([]ID, len(snapshots))
	for i, snapshot := range snapshots {
		ids[i] = snapshot.ID
	}
	return snapshots, p.listedTwice(ctx, kindSnapshot, ids)
}

// listedTwice compares the result of one listing with another. Nothing protects a listing. If a repository snapshot
// were missing or had a wrong name, all its data would look unneeded. If an index object did, all its packs would look
// like unindexed waste, and it would go on naming them. While we are alone, nobody adds or removes any, so two listings
// must agree; before that, nothing is removed.
func (p *pruner) listedTwice(ctx context.Context, k kind, found []ID) error {
	if !p.alone {
		return nil
	}
	ids, err := listIDs(ctx, p.repo.bucket, k)
	if err != nil {
		return fmt.Errorf("list %s again: %w", k, err)
	}
	listed := map[ID]bool{}
	for _, id := range ids {
		listed[id] = true
	}
	for _, id := range found {
		if !listed[id] {
			return fmt.Errorf("%s: %w", k.name(id), errListing)
		}
		delete(listed, id)
	}
	for id := range listed {
		return fmt.Errorf("%s: %w", k.name(id), errListing)
	}
	return nil
}

// errListing says that a listing differs from what is there.
var errListing = errors.New("two listings of the repository do not agree, and nothing is removed; run the command again")

// loadIndex reads the whole index. again says that the index should be rewritten, because it names a pack more than
// once, or consists of many small objects.
func (p *pruner) loadIndex(ctx context.Context) (packs map[ID]*prunePack, fresh *blobindex.Index, again bool, err error) {
	packs, fresh = map[ID]*prunePack{}, blobindex.New()
	size := 0
	err = p.repo.eachIndex(ctx, func(id ID, object packfile.IndexObject, err error) error {
		if err != nil {
			return err
		}
		p.oldIndex = append(p.oldIndex, id)
		for _, pack := range object.Packs {
			known, ok := packs[pack.ID]
			if !ok {
				size += pack.JSONSize()
				packs[pack.ID] = &prunePack{Pack: pack.Kept(), size: -1}
				fresh.Add(pack)
				continue
			}
			again = true
			if !packfile.SameBlobs(known.Blobs, pack.Blobs) {
				return fmt.Errorf("%s describes pack %s otherwise than another index object", kindIndex.name(id), pack.ID)
			}
		}
		return nil
	})
	if err == nil {
		err = p.listedTwice(ctx, kindIndex, p.oldIndex)
	}
	slices.SortFunc(p.oldIndex, format.Compare)
	return packs, fresh, again || scattered(len(p.oldIndex), size), err
}

// scattered reports that an index of that many objects would need far fewer. Backups write small ones, so that an
// interrupted backup has to store little twice; but each costs a request whenever somebody reads the index.
func scattered(objects, size int) bool {
	const few, factor = 32, 4
	return objects > few && objects > factor*(size/indexLimit+1)
}

// listPacks notes the sizes of the packs, and returns the packs that the index does not know.
func (p *pruner) listPacks(ctx context.Context, packs map[ID]*prunePack) (map[ID]int64, error) {
	unindexed, archived := map[ID]int64{}, map[ID]bool{}
	err := p.repo.eachListedPack(ctx, func(id ID, info storage.Info) error {
		if info.Archived {
			archived[id] = true
		}
		if pack, known := packs[id]; known {
			pack.size = info.Size
		} else {
			unindexed[id] = info.Size
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if archived, err = p.repo.inArchive(ctx, archived); err != nil {
		return nil, err
	}
	if len(archived) > 0 {
		// Of two copies, prune might keep the one that nobody can read.
		return nil, fmt.Errorf("%d packs: %w; nothing is removed while they are there: bring them back first (at AWS: aws s3api "+
			"restore-object), and keep the rule that archives objects away from this repository", len(archived), storage.ErrArchived)
	}
	return unindexed, nil
}

package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
)

// repackReaders is how many packs are read at once while repacking.
const repackReaders = 2

// PruneOptions say how thorough a prune is.
type PruneOptions struct {
	// MaxUnused is how much unneeded data may stay in packs that hold needed data too, as a share of the needed data.
	// 0 leaves none, at the price of writing more anew.
	MaxUnused float64
	// DryRun has everything found out, and nothing changed: not even a lock is written.
	DryRun bool

	mergeFrom int // how many small packs make it worth while to merge them; 0 means defaultMergeFrom
}

// defaultMergeFrom is more than a merge leaves: as many as are filled at once.
const defaultMergeFrom = 8

// PruneReport is what a prune has done, or with DryRun would do. Sizes are in bytes.
type PruneReport struct {
	DryRun bool `json:"dryRun"`
	// Snapshots is how many repository snapshots there are, whose data is needed.
	Snapshots int `json:"snapshots"`
	// PacksKept are left as they are; PacksRepacked are written anew without what is unneeded, and PacksMerged, which are
	// small, as fewer and larger ones; PacksRemoved hold nothing that is needed; PacksUnindexed are what interrupted work
	// has left.
	PacksKept      int `json:"packsKept"`
	PacksRepacked  int `json:"packsRepacked"`
	PacksMerged    int `json:"packsMerged"`
	PacksRemoved   int `json:"packsRemoved"`
	PacksUnindexed int `json:"packsUnindexed"`
	// BytesNeeded is the size of all needed data, BytesRewritten how much of it is copied into new packs.
	BytesNeeded    int64 `json:"bytesNeeded"`
	BytesRewritten int64 `json:"bytesRewritten"`
	// BytesRemoved is the size of all packs that go; the ones that come take about BytesRewritten. BytesUnused is
	// the unneeded data that stays.
	BytesRemoved int64 `json:"bytesRemoved"`
	BytesUnused  int64 `json:"bytesUnused"`
}

// Prune removes the data that no repository snapshot needs. It needs every repository snapshot, index object and tree
// to be readable, and refuses (having changed nothing) if one is not, or if data that is needed is missing. ErrLocked if
// anyone else is at work.
//
// The order makes it safe to die at any moment: what is needed is at every moment in a pack that an index object names.
// First the new packs, then the new index, which names them and those that stay; only then the old index goes, and at
// the end the old packs, which nothing names any more. What a dead prune leaves, the next one removes.
func (r *Repository) Prune(ctx context.Context, options PruneOptions) (report PruneReport, err error) {
	p := &pruner{repo: r, options: options, report: PruneReport{DryRun: options.DryRun}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("prune %s: %w", r, err)
		}
	}()
	if options.DryRun {
		if err := p.find(ctx); err != nil {
			return PruneReport{}, err
		}
		return p.count(), nil
	}
	lock, err := r.LockExclusive(ctx)
	if err != nil {
		return PruneReport{}, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	if err := p.find(lock.Context()); err != nil {
		return PruneReport{}, err
	}
	return p.count(), p.change(lock.Context())
}

type pruner struct {
	repo    *Repository
	options PruneOptions
	report  PruneReport

	oldIndex []ID
	plan     prunePlan
}

// find looks at everything and makes the plan. It changes nothing.
func (p *pruner) find(ctx context.Context) error {
	// 1. Every repository snapshot counts: one that cannot be read may need anything.
	snapshots, err := p.snapshots(ctx)
	if err != nil {
		return err
	}
	p.report.Snapshots = len(snapshots)
	// 2. The index, as it is in the bucket.
	packs, fresh, again, err := p.loadIndex(ctx)
	if err != nil {
		return err
	}
	// 3. The packs that there are.
	unindexed, err := p.listPacks(ctx, packs)
	if err != nil {
		return err
	}
	// 4. What is needed.
	used := newBlobSet()
	var roots []ID
	for _, snapshot := range snapshots {
		roots = append(roots, *snapshot.Tree)
	}
	err = p.repo.withIndex(fresh).walk(ctx, roots, used, func(t BlobType, id ID, err error) error {
		return fmt.Errorf("%s blob %s: %w; nothing is removed from a damaged repository: see what stsbackup verify says, and use stsbackup repair", t, id, err)
	})
	if err != nil {
		return err
	}
	// 5. What to do about it.
	list := make([]*prunePack, 0, len(packs))
	for _, pack := range packs {
		list = append(list, pack)
	}
	p.plan, err = planPrune(list, used, p.options.MaxUnused, cmp.Or(p.options.mergeFrom, defaultMergeFrom))
	p.plan.unindexed = unindexed
	p.plan.reindex = p.plan.reindex || again
	return err
}

// snapshots reads all repository snapshots. Their names come from a listing, which nothing protects: one that arrives
// without a name, or with a wrong one, would make all that this one needs look unneeded. Nobody adds or removes any
// while we hold the lock, so two listings must agree.
func (p *pruner) snapshots(ctx context.Context) ([]Snapshot, error) {
	ids, err := listIDs(ctx, p.repo.bucket, kindSnapshot)
	if err != nil {
		return nil, fmt.Errorf("list repository snapshots: %w", err)
	}
	snapshots, err := p.repo.Snapshots(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w; what cannot be read may need anything: see what stsbackup verify says, and use stsbackup repair", err)
	}
	if err != nil || p.options.DryRun {
		return snapshots, err
	}
	listed := map[ID]bool{}
	for _, id := range ids {
		listed[id] = true
	}
	for _, snapshot := range snapshots {
		if !listed[snapshot.ID] {
			return nil, fmt.Errorf("%s: %w", kindSnapshot.name(snapshot.ID), errListing)
		}
		delete(listed, snapshot.ID)
	}
	for id := range listed {
		return nil, fmt.Errorf("%s: %w", kindSnapshot.name(id), errListing)
	}
	return snapshots, nil
}

// errListing says that what was listed is not what is there.
var errListing = errors.New("two listings of the repository snapshots do not agree, and nothing is removed; run the command again")

// loadIndex reads the whole index; again says that a pack is named more than once.
func (p *pruner) loadIndex(ctx context.Context) (packs map[ID]*prunePack, fresh *index, again bool, err error) {
	packs, fresh = map[ID]*prunePack{}, newIndex()
	err = p.repo.eachIndex(ctx, func(id ID, object indexObject, err error) error {
		if err != nil {
			return err
		}
		p.oldIndex = append(p.oldIndex, id)
		for _, pack := range object.Packs {
			known, ok := packs[pack.ID]
			if !ok {
				packs[pack.ID] = &prunePack{indexPack: pack, size: -1}
				fresh.add(pack)
				continue
			}
			again = true
			if !sameBlobs(known.Blobs, pack.Blobs) {
				return fmt.Errorf("%s describes pack %s otherwise than another index object", kindIndex.name(id), pack.ID)
			}
		}
		return nil
	})
	slices.SortFunc(p.oldIndex, func(a, b ID) int { return strings.Compare(a.String(), b.String()) })
	return packs, fresh, again, err
}

// listPacks notes the sizes of the packs, and returns those that the index does not know.
func (p *pruner) listPacks(ctx context.Context, packs map[ID]*prunePack) (map[ID]int64, error) {
	unindexed := map[ID]int64{}
	err := p.repo.bucket.List(ctx, kindData.prefix(), func(info storage.Info) error {
		id, ok := kindData.parseName(info.Name)
		if !ok {
			return nil
		}
		if pack, known := packs[id]; known {
			pack.size = info.Size
		} else {
			unindexed[id] = info.Size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list packs: %w", err)
	}
	return unindexed, nil
}

// count fills the report from the plan.
func (p *pruner) count() PruneReport {
	r, plan := &p.report, p.plan
	r.PacksKept, r.PacksRepacked, r.PacksRemoved = len(plan.keep), len(plan.repack), len(plan.remove)
	r.PacksMerged, r.PacksUnindexed = len(plan.merge), len(plan.unindexed)
	for _, pack := range plan.keep {
		r.BytesNeeded += pack.kept
		r.BytesUnused += pack.unused
	}
	for _, pack := range p.plan.rewritten() {
		r.BytesNeeded += pack.kept
		r.BytesRewritten += pack.kept
		r.BytesRemoved += pack.size
	}
	for _, pack := range slices.Concat(plan.remove, plan.drop) {
		r.BytesRemoved += max(pack.size, 0)
	}
	for _, size := range plan.unindexed {
		r.BytesRemoved += size
	}
	return *r
}

// change carries the plan out. ctx is that of the exclusive lock: once that is lost, not one more object is removed.
func (p *pruner) change(ctx context.Context) error {
	if p.plan.reindex {
		kept := newIndex()
		for _, pack := range p.plan.keep {
			kept.add(pack.indexPack)
		}
		work := p.repo.withIndex(kept)
		// 1. New packs, and index objects that name them.
		if err := p.repack(ctx, work); err != nil {
			return err
		}
		// 2. New index objects for the packs that stay.
		if err := p.reindex(ctx, work); err != nil {
			return err
		}
		// 3. The old index. All that is needed is in the new one.
		if err := p.removeAll(ctx, kindIndex, p.oldIndex); err != nil {
			return err
		}
		p.repo.index.replace(kept)
	}
	// 4. The old packs, which no index names.
	var old []ID
	for _, pack := range slices.Concat(p.plan.rewritten(), p.plan.remove, p.plan.drop) {
		old = append(old, pack.ID)
	}
	for id := range p.plan.unindexed {
		old = append(old, id)
	}
	slices.SortFunc(old, func(a, b ID) int { return strings.Compare(a.String(), b.String()) })
	return p.removeAll(ctx, kindData, old)
}

func (p *pruner) removeAll(ctx context.Context, k kind, ids []ID) error {
	for _, id := range ids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.repo.bucket.Delete(ctx, k.name(id)); err != nil {
			return fmt.Errorf("remove %s: %w", k.name(id), err)
		}
	}
	return nil
}

// repack copies what is needed of wasteful and small packs into new ones. work knows the packs that stay, so that what is in one
// of them is not copied.
func (p *pruner) repack(ctx context.Context, work *Repository) error {
	packs := p.plan.rewritten()
	if len(packs) == 0 {
		return nil
	}
	w, err := work.NewWriter(ctx)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(repackReaders)
	for _, pack := range packs {
		group.Go(func() error { return copyBlobs(groupCtx, work, w, pack) })
	}
	if err := group.Wait(); err != nil {
		w.Abort()
		return err
	}
	return w.Flush()
}

// copyBlobs reads a pack as a stream and saves what is needed of it. Every blob's hash is checked on the way.
func copyBlobs(ctx context.Context, repo *Repository, w *Writer, pack *prunePack) error {
	name := kindData.name(pack.ID)
	body, err := repo.bucket.Get(ctx, name, 0, pack.size)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer body.Close()
	at := int64(0)
	blobs := slices.SortedFunc(slices.Values(pack.needed), func(a, b indexBlob) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, blob := range blobs {
		if int64(blob.Offset) < at {
			return fmt.Errorf("%s: blobs overlap in the index", name)
		}
		sealed := make([]byte, blob.Length)
		if _, err := io.CopyN(io.Discard, body, int64(blob.Offset)-at); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if _, err := io.ReadFull(body, sealed); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		at = int64(blob.Offset) + int64(blob.Length)
		plain, err := repo.OpenBlob(blob.location(pack.ID), blob.ID, sealed, nil)
		if err != nil {
			return err
		}
		if _, err := w.SaveBlob(ctx, blob.Type, plain); err != nil {
			return err
		}
	}
	return nil
}

// reindex writes index objects for the packs that stay.
func (p *pruner) reindex(ctx context.Context, work *Repository) error {
	var object indexObject
	size := 0
	flush := func() error {
		if len(object.Packs) == 0 {
			return nil
		}
		_, _, err := work.saveObject(ctx, kindIndex, object)
		object, size = indexObject{}, 0
		return err
	}
	for _, pack := range p.plan.keep {
		object.Packs = append(object.Packs, pack.indexPack)
		if size += (len(pack.Blobs) + 1) * indexBlobSize; size >= indexLimit {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

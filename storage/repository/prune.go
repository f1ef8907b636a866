package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// PruneOptions say how thorough a prune is.
type PruneOptions struct {
	// MaxUnused is how much unneeded data may stay in packs that also hold needed data, as a share of the needed data.
	// 0 leaves none, but then prune rewrites more.
	MaxUnused float64
	// DryRun makes prune find out everything and change nothing: it does not even write a lock.
	DryRun bool

	// Alone, if set, runs do while nobody begins work that the repository's locks alone do not announce. Prune calls it
	// for the part of its work during which nobody may read or write. That part is short: it copies nothing.
	Alone func(ctx context.Context, do func(context.Context) error) error
	// AloneOperation is what the lock says meanwhile, in place of Options.Operation.
	AloneOperation string

	// Compare, if set, learns what prune has found, each time before prune decides what to remove. Prune keeps the
	// trees that Compare returns too, and removes nothing if it returns an error. So a caller that understands the
	// content of trees can check here whether that agrees with the listings.
	Compare func(ctx context.Context, found Found) (keep []ID, err error)

	mergeFrom int // from how many small packs on merging is worthwhile; 0 means defaultMergeFrom
}

// Found is what prune has found.
type Found struct {
	// Repository is the repository being pruned, with its index as it is in the bucket.
	Repository *Repository
	// Snapshots are all repository snapshots.
	Snapshots []Snapshot
	// Unneeded are the trees in the repository that no repository snapshot needs.
	Unneeded iter.Seq[ID]
}

// defaultMergeFrom is more than a merge leaves: a merge leaves as many packs as a Writer fills at once.
const defaultMergeFrom = 8

// PruneReport says what a prune has done, or with DryRun would do. Sizes are in bytes.
type PruneReport struct {
	DryRun bool `json:"dryRun"`
	// Snapshots is how many repository snapshots there are. Their data is needed.
	Snapshots int `json:"snapshots"`
	// PacksKept stay as they are. PacksRepacked are rewritten without their unneeded data, and PacksMerged, which are
	// small, are rewritten into fewer, larger packs. PacksRemoved hold nothing that is needed. PacksUnindexed are
	// leftovers of interrupted work.
	PacksKept      int `json:"packsKept"`
	PacksRepacked  int `json:"packsRepacked"`
	PacksMerged    int `json:"packsMerged"`
	PacksRemoved   int `json:"packsRemoved"`
	PacksUnindexed int `json:"packsUnindexed"`
	// BytesNeeded is the size of all needed data, BytesRewritten how much of that is copied into new packs.
	BytesNeeded    int64 `json:"bytesNeeded"`
	BytesRewritten int64 `json:"bytesRewritten"`
	// BytesRemoved is the size of all removed packs; the new ones take about BytesRewritten. BytesUnused is the
	// unneeded data that stays.
	BytesRemoved int64 `json:"bytesRemoved"`
	BytesUnused  int64 `json:"bytesUnused"`
}

// Prune removes the data that no repository snapshot needs. It must be able to read every repository snapshot, index
// object and tree. If it cannot, or if needed data is missing, it refuses and removes nothing. It does not begin while
// anyone else is at work: it returns ErrLocked if that lasts longer than SetLockWait allows.
//
// The order makes it safe to die at any moment: needed data is always in a pack that an index object names. Prune first
// writes the new packs, then the new index, which names them and the packs that stay. Only then does it remove the old
// index, and at the end the old packs, which nothing names any more. The next prune removes the leftovers of a dead
// one.
//
// Most of the time others may work beside it:
//
//  1. Under a writer's lock it finds out what is needed, and copies that out of the packs that will be removed. The new
//     packs are further copies of existing data, and nothing is removed, so backups may read and write freely.
//  2. Alone, it looks again, because backups may have ended that rely on anything that the index names. A pack that has
//     the only copy of something needed stays. Then it exchanges the index. It copies nothing: this takes as long as
//     listing the repository and reading its index and its new content.
//  3. No index names the old packs now, so nobody who begins relies on them. Prune removes them under a writer's lock,
//     into which it turns the exclusive one: so nobody can have found them and put them back in between.
//
// If the bucket is too full for copies, Prune still removes packs without any needed data, and returns ErrNoSpace: next
// time there may be room for the rest. Without room for a lock and a new index, it removes nothing.
func (r *Repository) Prune(ctx context.Context, options PruneOptions) (report PruneReport, err error) {
	ctx = storage.WithDoubt(ctx, true)
	p := &pruner{repo: r, options: options, report: PruneReport{DryRun: options.DryRun}, used: newBlobSet()}
	defer func() {
		if err != nil {
			err = fmt.Errorf("prune %s: %w", r, needsRoom(err))
		}
	}()
	if err := r.Writable(); err != nil { // it may have to copy needed data
		return PruneReport{}, err
	}
	if options.DryRun {
		if err := p.find(ctx); err != nil {
			return PruneReport{}, err
		}
		return p.count(), nil
	}
	if err := r.patiently(ctx, func() error {
		_, err := r.checkLocks(ctx, true, ID{})
		return err
	}); err != nil {
		return PruneReport{}, err
	}
	if err := p.prepare(ctx); err != nil {
		return PruneReport{}, err
	}
	if !p.plan.changes() {
		return p.count(), nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lock, err := p.exchange(ctx, cancel)
	if err != nil {
		return PruneReport{}, err
	}
	defer func() { err = lock.End(ctx, err) }()
	if err := p.removePacks(lock.Context()); err != nil {
		return PruneReport{}, err
	}
	return p.count(), p.incomplete()
}

type pruner struct {
	repo    *Repository
	options PruneOptions
	report  PruneReport
	// alone says that nobody else is at work.
	alone bool

	known    map[ID]bool // repository snapshots whose needs are in used
	used     blobSet
	oldIndex []ID
	plan     prunePlan
	retired  map[ID]retiredPack // packs whose needed data has been copied
	fresh    map[ID]bool        // packs that this prune has written
	noRoom   error              // why nothing was copied, if the bucket is full
}

// prepare is step 1.
func (p *pruner) prepare(ctx context.Context) (err error) {
	lock, err := p.repo.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = lock.End(ctx, err) }()
	if err := p.find(lock.Context()); err != nil {
		return err
	}
	kept := p.keptIndex()
	defer kept.Close()
	err = p.repack(lock.Context(), p.repo.withIndex(kept))
	if errors.Is(err, storage.ErrNoSpace) {
		p.noRoom = err // the plan for step 2 does without copies
		return nil
	}
	if err != nil {
		return err
	}
	p.retired, p.fresh = map[ID]retiredPack{}, map[ID]bool{}
	for number := len(p.plan.keep); number < kept.Packs(); number++ {
		id, err := kept.Pack(number)
		if err != nil {
			return err
		}
		p.fresh[id] = true
	}
	for _, pack := range p.plan.repack {
		p.retired[pack.ID] = retiredPack{kept: pack.kept}
	}
	for _, pack := range p.plan.merge {
		p.retired[pack.ID] = retiredPack{kept: pack.kept, merged: true}
	}
	return nil
}

// exchange is step 2. It returns the lock for step 3; ctx and cancel belong to that lock's context.
func (p *pruner) exchange(ctx context.Context, cancel context.CancelCauseFunc) (lock *Lock, err error) {
	alone := p.options.Alone
	if alone == nil {
		alone = func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }
	}
	err = alone(ctx, func(guarded context.Context) (err error) {
		// The lock outlives Alone's guard. But while the guard is needed, we end if it ends.
		stop := context.AfterFunc(guarded, func() { cancel(context.Cause(guarded)) })
		defer stop()
		lock, err = p.repo.lockPatiently(ctx, lockKind{exclusive: true, operation: cmp.Or(p.options.AloneOperation, p.repo.options.Operation)})
		if err != nil {
			return err
		}
		if err = p.exchangeIndex(lock.Context()); err == nil {
			err = lock.share()
		}
		return err
	})
	if err != nil && lock != nil {
		err = errors.Join(err, lock.Release(ctx))
	}
	return lock, err
}

// exchangeIndex looks again, and replaces the index. ctx is the exclusive lock's: once the lock is lost, not one more
// object is removed.
func (p *pruner) exchangeIndex(ctx context.Context) error {
	p.alone, p.plan, p.oldIndex = true, prunePlan{}, nil
	if err := p.find(ctx); err != nil {
		return err
	}
	if p.noRoom != nil {
		// The copies that fitted into the bucket are in no index either, and take the room that a new index needs.
		if err := p.repo.remove(ctx, kindData, sortedIDs(maps.Keys(p.plan.unindexed))); err != nil {
			return err
		}
	}
	if !p.plan.reindex {
		return nil
	}
	return p.replaceIndex(ctx, p.keptIndex())
}

// keptIndex knows only the packs that stay.
func (p *pruner) keptIndex() *blobindex.Index {
	kept := blobindex.New()
	for _, pack := range p.plan.keep {
		kept.Add(pack.Pack)
	}
	return kept
}

// replaceIndex writes an index of the packs that stay and removes the old one. Afterwards, the repository uses kept as
// its index.
func (p *pruner) replaceIndex(ctx context.Context, kept *blobindex.Index) error {
	if err := p.reindex(ctx); err != nil {
		return err
	}
	if err := p.repo.remove(ctx, kindIndex, p.oldIndex); err != nil {
		return err
	}
	p.repo.useIndex(kept)
	return nil
}

// removePacks is step 3: it removes the packs that no index names any more.
func (p *pruner) removePacks(ctx context.Context) error {
	var old []ID
	for _, pack := range slices.Concat(p.plan.rewritten(), p.plan.remove, p.plan.drop) {
		old = append(old, pack.ID)
	}
	if p.noRoom == nil { // otherwise they are gone already
		old = slices.AppendSeq(old, maps.Keys(p.plan.unindexed))
	}
	return p.repo.remove(ctx, kindData, sortedIDs(slices.Values(old)))
}

func sortedIDs(ids iter.Seq[ID]) []ID { return slices.SortedFunc(ids, format.Compare) }

// incomplete returns the error of a prune that could not copy anything.
func (p *pruner) incomplete() error {
	if p.noRoom == nil {
		return nil
	}
	return fmt.Errorf("removed the packs that nothing needs, and left those that also hold needed data: %w; run the command again",
		p.noRoom)
}

// needsRoom adds to an error about a full bucket what to do, for callers that want to make room in that bucket.
func needsRoom(err error) error {
	if !errors.Is(err, storage.ErrNoSpace) {
		return err
	}
	return fmt.Errorf("%w; removing data first needs a little room, for a lock and for prune's new index: raise the quota meanwhile, or "+
		"remove objects that belong to no repository", err)
}

// count fills the report from the plan. Retired packs are reported as they were planned at first.
func (p *pruner) count() PruneReport {
	r, plan := &p.report, p.plan
	for _, pack := range plan.keep {
		if p.fresh[pack.ID] {
			continue // counted as rewritten
		}
		r.PacksKept++
		r.BytesNeeded += pack.kept
		r.BytesUnused += pack.unused
	}
	rewritten := func(bytes int64, merged bool) {
		if merged {
			r.PacksMerged++
		} else {
			r.PacksRepacked++
		}
		r.BytesNeeded += bytes
		r.BytesRewritten += bytes
	}
	for _, pack := range plan.repack {
		rewritten(pack.kept, false)
	}
	for _, pack := range plan.merge {
		rewritten(pack.kept, true)
	}
	for _, pack := range plan.remove {
		if retired, is := p.retired[pack.ID]; is {
			rewritten(retired.kept, retired.merged)
		} else {
			r.PacksRemoved++
		}
	}
	for _, pack := range slices.Concat(plan.repack, plan.merge, plan.remove, plan.drop) {
		r.BytesRemoved += max(pack.size, 0)
	}
	r.PacksUnindexed = len(plan.unindexed)
	for _, size := range plan.unindexed {
		r.BytesRemoved += size
	}
	return *r
}

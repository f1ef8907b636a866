package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// RepairOptions say what a repair may do.
type RepairOptions struct {
	// DryRun makes repair find out everything and change nothing: it does not even write a lock.
	DryRun bool
	// ForgetDamaged also removes the repository snapshots whose own objects are damaged.
	ForgetDamaged bool
	// Progress, unless nil, is called after each pack that was read, by one goroutine at a time.
	Progress func(packs, total int)
}

// RepairReport says what a repair has found, and what it did about that.
type RepairReport struct {
	DryRun bool `json:"dryRun"`
	// IndexesDamaged are index objects that cannot be read. PacksFound are packs that no index named, and that the
	// index names from now on.
	IndexesDamaged int `json:"indexesDamaged"`
	PacksFound     int `json:"packsFound"`
	// PacksDamaged are packs with something wrong in them, and PacksMissing are packs that are not there.
	PacksDamaged int `json:"packsDamaged"`
	PacksMissing int `json:"packsMissing"`
	// BlobsSaved are the good blobs of damaged packs, which are in new packs now. BlobsLost are in no pack any more:
	// what needs them is damaged until a backup brings the same content back.
	BlobsSaved int `json:"blobsSaved"`
	BlobsLost  int `json:"blobsLost"`
	// SnapshotsDamaged are the repository snapshots whose own objects cannot be read; Forgotten says that they were
	// removed.
	SnapshotsDamaged []ID `json:"snapshotsDamaged"`
	Forgotten        bool `json:"forgotten"`
}

// Repair makes the index say what is really there. It brings packs that no index names back into the index, and takes
// damaged data out, so that the next backup stores that again instead of relying on it. Older repository snapshots that
// need the same content then become whole, too. Repair reads every pack. It returns ErrLocked if anyone else is at
// work.
//
// Repair works like a prune with another plan: it copies good blobs of damaged packs to new ones, then writes a new
// index, and only then removes the old index and the damaged packs. So it may die at any moment.
func (r *Repository) Repair(ctx context.Context, options RepairOptions) (report RepairReport, err error) {
	ctx = storage.WithDoubt(ctx, true)
	x := &repairer{
		repo:    r,
		options: options,
		packs:   map[ID]*prunePack{},
		report:  RepairReport{DryRun: options.DryRun, SnapshotsDamaged: []ID{}},
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("repair %s: %w", r, err)
		}
	}()
	if options.DryRun {
		err := x.look(ctx)
		return x.report, err
	}
	lock, err := r.LockExclusive(ctx)
	if err != nil {
		return RepairReport{}, err
	}
	defer func() { err = lock.End(ctx, err) }()
	if err := x.look(lock.Context()); err != nil {
		return RepairReport{}, err
	}
	if x.plan.reindex {
		if err := x.change(lock.Context()); err != nil {
			return RepairReport{}, err
		}
	}
	if options.ForgetDamaged && len(x.report.SnapshotsDamaged) > 0 {
		if err := lock.RemoveSnapshots(x.report.SnapshotsDamaged...); err != nil {
			return RepairReport{}, err
		}
		x.report.Forgotten = true
	}
	return x.report, nil
}

// change carries the plan out.
func (x *repairer) change(ctx context.Context) error {
	p := &pruner{repo: x.repo, oldIndex: x.oldIndex, plan: x.plan}
	kept := p.keptIndex()
	if err := p.repack(ctx, x.repo.withIndex(kept)); err != nil {
		return err
	}
	if err := p.replaceIndex(ctx, kept); err != nil {
		return err
	}
	return p.removePacks(ctx)
}

// unread reports an error that says nothing about the object. Repair removes damaged data, so it must be sure: if it
// cannot get the bytes, for whatever reason, it gives up.
func unread(ctx context.Context, err error) bool {
	var read *readError
	return Undecided(ctx, err) || errors.As(err, &read) && !errors.Is(err, storage.ErrNotExist)
}

type repairer struct {
	repo     *Repository
	options  RepairOptions
	oldIndex []ID
	packs    map[ID]*prunePack

	mu     sync.Mutex
	plan   prunePlan
	report RepairReport
}

// look finds out everything, and makes the plan.
func (x *repairer) look(ctx context.Context) error {
	// 1. Repository snapshots that cannot be read.
	if err := x.snapshots(ctx); err != nil {
		return err
	}
	// 2. What the readable part of the index says.
	unsure, err := x.index(ctx)
	if err != nil {
		return err
	}
	// 3. What the packs themselves say, where the index does not.
	if err := x.list(ctx, unsure); err != nil {
		return err
	}
	// 4. The content of the packs.
	if err := x.read(ctx); err != nil {
		return err
	}
	if len(x.plan.repack) > 0 {
		if err := x.repo.Writable(); err != nil {
			return fmt.Errorf("save what is good of damaged packs: %w", err)
		}
	}
	// 5. The lost blobs: those of damaged and missing packs that no other pack has.
	for _, packs := range [][]*prunePack{x.plan.keep, x.plan.repack} {
		slices.SortFunc(packs, func(a, b *prunePack) int { return format.Compare(a.ID, b.ID) })
	}
	x.count()
	return nil
}

func (x *repairer) snapshots(ctx context.Context) error {
	err := x.repo.eachSnapshot(ctx, func(id ID, _ Snapshot, err error) error {
		if unread(ctx, err) {
			return err
		}
		if err != nil {
			x.report.SnapshotsDamaged = append(x.report.SnapshotsDamaged, id)
		}
		return nil
	})
	slices.SortFunc(x.report.SnapshotsDamaged, format.Compare)
	return err
}

// index returns the packs about which two index objects disagree.
func (x *repairer) index(ctx context.Context) (unsure map[ID]bool, err error) {
	unsure = map[ID]bool{}
	err = x.repo.eachIndex(ctx, func(id ID, object packfile.IndexObject, err error) error {
		if unread(ctx, err) {
			return err
		}
		x.oldIndex = append(x.oldIndex, id)
		if err != nil {
			x.report.IndexesDamaged++
			x.plan.reindex = true
			return nil
		}
		for _, pack := range object.Packs {
			known, ok := x.packs[pack.ID]
			if !ok {
				x.packs[pack.ID] = &prunePack{Pack: pack.Kept(), size: -1}
			} else if !packfile.SameBlobs(known.Blobs, pack.Blobs) {
				unsure[pack.ID], x.plan.reindex = true, true
			}
		}
		return nil
	})
	slices.SortFunc(x.oldIndex, format.Compare)
	return unsure, err
}

// list notes the sizes of the packs, and adds packs that only their own tables of contents describe. If the table
// cannot be read either, the pack is a leftover of interrupted work, and prune's business.
func (x *repairer) list(ctx context.Context, unsure map[ID]bool) error {
	err := x.repo.eachListedPack(ctx, func(id ID, info storage.Info) error {
		if pack, known := x.packs[id]; known {
			pack.size = info.Size
			if !unsure[id] && packfile.Size(pack.Blobs) == info.Size {
				return nil
			}
		}
		found, err := x.repo.readHeader(ctx, id, info.Size)
		if unread(ctx, err) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // nobody says what is in this pack, or only the index does
		}
		if x.packs[id] == nil {
			x.report.PacksFound++
		}
		x.packs[id], x.plan.reindex = &prunePack{Pack: found, size: info.Size}, true
		return nil
	})
	if err != nil {
		return err
	}
	return x.confirmMissing(ctx)
}

// confirmMissing looks for each pack that was not listed: a listing has no hash, and may arrive without a name.
func (x *repairer) confirmMissing(ctx context.Context) error {
	for id, pack := range x.packs {
		if pack.size >= 0 {
			continue
		}
		info, err := x.repo.bucket.Stat(ctx, kindData.name(id))
		switch {
		case err == nil:
			pack.size = info.Size
		case !errors.Is(err, storage.ErrNotExist):
			return fmt.Errorf("look for %s: %w", kindData.name(id), err)
		}
	}
	return nil
}

// read reads the packs, and sorts them by what to do with them.
func (x *repairer) read(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checkReaders)
	done := 0
	for _, pack := range x.packs {
		group.Go(func() error {
			err := x.readPack(ctx, pack)
			if unread(ctx, err) {
				return err
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			x.sort(pack, err != nil)
			if done++; x.options.Progress != nil {
				x.options.Progress(done, len(x.packs))
			}
			return nil
		})
	}
	return group.Wait()
}

func (x *repairer) sort(pack *prunePack, damaged bool) {
	switch {
	case pack.size < 0:
		x.report.PacksMissing++
		x.plan.drop = append(x.plan.drop, pack)
	case !damaged:
		x.plan.keep = append(x.plan.keep, pack)
		return
	case len(pack.needed) > 0:
		x.report.PacksDamaged++
		x.plan.repack = append(x.plan.repack, pack)
	default:
		x.report.PacksDamaged++
		x.plan.remove = append(x.plan.remove, pack)
	}
	x.plan.reindex = true
}

// readPack leaves the good blobs of a pack in needed. The error says what is wrong with the pack. If pack and index
// differ, readPack believes the pack's own table of contents: its hash has been checked, and the index is to describe
// the pack.
func (x *repairer) readPack(ctx context.Context, pack *prunePack) error {
	if pack.size < 0 {
		return nil
	}
	// Twice: data that seems damaged may have been changed on its way here.
	err := x.readBlobs(ctx, pack)
	if err != nil && !unread(ctx, err) {
		err = x.readBlobs(ctx, pack)
	}
	if err == nil || unread(ctx, err) {
		return err
	}
	found, headerErr := x.repo.readHeader(ctx, pack.ID, pack.size)
	if unread(ctx, headerErr) {
		return headerErr
	}
	if headerErr != nil || packfile.SameBlobs(found.Blobs, pack.Blobs) {
		return err
	}
	x.mu.Lock()
	x.plan.reindex = true
	x.mu.Unlock()
	pack.Blobs = found.Blobs
	return x.readBlobs(ctx, pack)
}

func (x *repairer) readBlobs(ctx context.Context, pack *prunePack) error {
	pack.needed = nil
	name := kindData.name(pack.ID)
	body, err := x.repo.bucket.Get(ctx, name, 0, pack.size)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, &readError{err})
	}
	defer body.Close()
	blobs := packfile.ByOffset(pack.Blobs)
	stream := newPackStream(body, pack.size)
	var failures []error
	for _, blob := range blobs {
		err := stream.blob(x.repo, pack.ID, blob)
		if err == nil {
			pack.needed = append(pack.needed, blob)
			continue
		}
		failures = append(failures, err)
		if errors.Is(err, errStream) {
			return errors.Join(failures...)
		}
	}
	return errors.Join(errors.Join(failures...), stream.end(x.repo, pack.ID, blobs))
}

// count finds out which blobs are saved and which are lost.
func (x *repairer) count() {
	good := newBlobSet()
	for _, pack := range x.plan.keep {
		for _, blob := range pack.Blobs {
			good.add(blob.Type, blob.ID)
		}
	}
	for _, pack := range x.plan.repack {
		for _, blob := range pack.needed {
			if good.add(blob.Type, blob.ID) {
				x.report.BlobsSaved++
			}
		}
	}
	for _, pack := range slices.Concat(x.plan.repack, x.plan.remove, x.plan.drop) {
		for _, blob := range pack.Blobs {
			if good.add(blob.Type, blob.ID) {
				x.report.BlobsLost++
			}
		}
	}
}

package repository

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// checkReaders is how many packs are read at once. Each takes the memory of its largest blob, twice.
const checkReaders = 3

// Check looks for damage. Without ReadData it finds what is missing, and damage in everything except the packs of file
// content. With a ReadData of 1 it finds every flipped bit of every object that the repository needs, and of every
// lock. The report lists the damage; an error says that the check itself could not be done.
//
// Check takes no lock, so it needs only the right to read. It looks at things in an order that makes a simultaneous
// backup harmless: repository snapshots, index, packs. During a prune, it may report objects as missing that the prune
// has replaced.
func (r *Repository) Check(ctx context.Context, options CheckOptions) (CheckReport, error) {
	c := &checker{
		repo:    r.withIndex(blobindex.New()),
		options: options,
		bad:     newBlobSet(),
		refused: newBlobSet(),
		used:    newBlobSet(),
		packs:   map[ID]*checkedPack{},
		report:  CheckReport{Problems: []Problem{}, Damaged: []ID{}}, // lists, not null, in JSON
	}
	defer c.repo.index.Close()
	if err := c.run(ctx); err != nil {
		return CheckReport{}, fmt.Errorf("check %s: %w", r, err)
	}
	slices.SortFunc(c.report.Problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(c.report.Damaged, format.Compare)
	return c.report, nil
}

// checkedPack is a pack as the index describes it.
type checkedPack struct {
	id    ID
	blobs []packfile.Blob
	size  int64 // size in the bucket; -1 if it is not there
	// archived says that it is in an archive class, from which it cannot be read.
	archived bool
}

type checker struct {
	// repo has an index of its own: other users of the Repository must not find blobs whose index object is damaged.
	repo    *Repository
	options CheckOptions
	packs   map[ID]*checkedPack // those that the check covers
	known   map[ID]*checkedPack // all that the index names
	used    blobSet

	mu     sync.Mutex
	report CheckReport
	bad    blobSet // blobs that cannot be read
	// refused are the bad blobs that the walk has met: it has already looked for other copies, or their content is
	// wrong.
	refused blobSet
	gone    []*checkedPack // packs that are not there, or in an archive
}

func (c *checker) run(ctx context.Context) error {
	// 1. The small objects that open everything else, or lock others out. Open has already checked the config.
	if err := c.checkKeys(ctx); err != nil {
		return err
	}
	if err := c.checkLocks(ctx); err != nil {
		return err
	}
	// 2. The repository snapshots, before the index, so that the index is at least as recent.
	snapshots, err := c.loadSnapshots(ctx)
	if err != nil {
		return err
	}
	// 3. The index, and whether the packs that it names are there, with the size that it implies.
	if err := c.loadIndex(ctx); err != nil {
		return err
	}
	if err := c.checkSizes(ctx); err != nil {
		return err
	}
	// 4. All trees, and whether the index knows their blobs.
	if err := c.checkTrees(ctx, snapshots); err != nil {
		return err
	}
	// 5. The packs themselves, or some of them.
	if err := c.readPacks(ctx); err != nil {
		return err
	}
	// 6. Whether blobs that are bad in one pack are good in another.
	if err := c.findCopies(ctx); err != nil {
		return err
	}
	// 7. Which repository snapshots the damage affects.
	return c.attribute(ctx, snapshots)
}

func (c *checker) problem(object string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.report.Problems) >= maxProblems {
		c.report.MoreProblems++
		return
	}
	c.report.Problems = append(c.report.Problems, Problem{Object: object, Reason: reasonFor(object, err)})
}

// Undecided reports an error that says nothing about the object: if the bucket, or the index's own temporary file,
// could not be asked, that is no damage. ctx is the context of the read.
func Undecided(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	for _, sentinel := range []error{
		storage.ErrUnreachable, storage.ErrCredentials, storage.ErrPermission, storage.ErrArchived, storage.ErrNoBucket,
		blobindex.ErrFile, errTreeFile,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return ctx.Err() != nil
}

// Unusable reports an error that says that a pack cannot deliver the data, while another copy may: the pack is damaged,
// missing, or archived. ctx is the context of the read.
func Unusable(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, storage.ErrArchived) || !Undecided(ctx, err))
}

// checkKeys compares every key with its name: a damaged key no longer opens anything.
func (c *checker) checkKeys(ctx context.Context) error {
	ids, err := listIDs(ctx, c.repo.bucket, kindKey)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, id := range ids {
		_, err := loadKey(ctx, c.repo.bucket, id)
		if Undecided(ctx, err) {
			return fmt.Errorf("read %s: %w", kindKey.name(id), err)
		}
		if err != nil && !errors.Is(err, storage.ErrNotExist) { // removed since the listing
			c.problem(kindKey.name(id), err)
		}
	}
	return nil
}

// checkLocks looks for unreadable locks, which only keep others out.
func (c *checker) checkLocks(ctx context.Context) error {
	return c.repo.eachLock(ctx, func(holder Holder, damage error) error {
		if damage != nil {
			c.problem(kindLock.name(holder.id), c.repo.unreadable(holder, damage))
		}
		return nil
	})
}

// loadSnapshots reads the repository snapshots that the check covers.
func (c *checker) loadSnapshots(ctx context.Context) ([]Snapshot, error) {
	var snapshots []Snapshot
	look := func(id ID, snapshot Snapshot, err error) error {
		if Undecided(ctx, err) {
			return err
		}
		c.report.Snapshots++
		if err != nil {
			c.problem(kindSnapshot.name(id), err)
			c.report.Damaged = append(c.report.Damaged, id)
			return nil
		}
		snapshots = append(snapshots, snapshot)
		return nil
	}
	if c.options.Snapshots == nil {
		err := c.repo.eachSnapshot(ctx, look)
		slices.SortFunc(snapshots, func(a, b Snapshot) int { return format.Compare(a.ID, b.ID) })
		return snapshots, err
	}
	for _, id := range c.options.Snapshots {
		snapshot, err := c.repo.LoadSnapshot(ctx, id)
		if err := look(id, snapshot, err); err != nil {
			return nil, err
		}
	}
	return snapshots, nil
}

// spoil notes that the blobs of a pack cannot be read from it.
func (c *checker) spoil(pack *checkedPack, only ...packfile.Blob) {
	if only == nil {
		only = pack.blobs
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, blob := range only {
		if at, known, err := c.repo.index.Find(blob.Type, blob.ID); err != nil || known && at.Pack == pack.id {
			c.bad.add(blob.Type, blob.ID)
		}
	}
}

// checkTrees walks all trees, and leaves in c.packs only the packs that the check covers.
func (c *checker) checkTrees(ctx context.Context, snapshots []Snapshot) error {
	var roots []ID
	for _, snapshot := range snapshots {
		roots = append(roots, *snapshot.Tree)
	}
	trees := &walk{repo: c.repo, seen: c.used, judge: true, problem: func(t BlobType, id ID, err error) error {
		if Undecided(ctx, err) {
			return err
		}
		c.problem(fmt.Sprintf("%s blob %s", t, id), err)
		c.bad.add(t, id)
		c.refused.add(t, id)
		return nil
	}}
	err := trees.run(ctx, roots)
	c.report.Trees, c.report.Blobs = len(c.used.tree), len(c.used.data)
	if err != nil {
		return err
	}
	c.known = c.packs
	if c.options.Snapshots != nil {
		needed := map[ID]*checkedPack{}
		for _, t := range []BlobType{DataBlob, TreeBlob} {
			for id := range c.used.of(t) {
				at, known, err := c.repo.index.Find(t, id)
				if err != nil {
					return err
				}
				if known {
					needed[at.Pack] = c.packs[at.Pack]
				}
			}
		}
		c.packs = needed
	}
	c.report.Packs = len(c.packs)
	return nil
}

// readPacks judges the sizes of all packs, and reads as many packs as the options ask for.
func (c *checker) readPacks(ctx context.Context) error {
	var whole []*checkedPack
	for _, pack := range c.packs {
		if c.judgeSize(pack) {
			whole = append(whole, pack)
		}
	}
	// Sorted by name, not in the order of a map: the draw depends only on the source of randomness.
	slices.SortFunc(whole, func(a, b *checkedPack) int { return format.Compare(a.id, b.id) })
	chosen, err := choosePacks(whole, c.options.ReadData, c.repo.options.Random)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checkReaders)
	for _, pack := range chosen {
		group.Go(func() error {
			err := c.readPack(ctx, pack)
			if Undecided(ctx, err) {
				return fmt.Errorf("read %s: %w", kindData.name(pack.id), err)
			}
			if err != nil {
				c.problem(kindData.name(pack.id), err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.report.PacksRead++
			c.report.BytesRead += pack.size
			if c.options.Progress != nil {
				c.options.Progress(c.report.PacksRead, len(chosen))
			}
			return nil
		})
	}
	return group.Wait()
}

// choosePacks draws a share of the packs.
func choosePacks(packs []*checkedPack, share float64, random io.Reader) ([]*checkedPack, error) {
	count := min(int(math.Ceil(share*float64(len(packs)))), len(packs))
	for i := range count { // the first steps of a shuffle
		var raw [8]byte
		if _, err := io.ReadFull(random, raw[:]); err != nil {
			return nil, fmt.Errorf("draw packs to read: %w", err)
		}
		j := i + int(binary.LittleEndian.Uint64(raw[:])%uint64(len(packs)-i))
		packs[i], packs[j] = packs[j], packs[i]
	}
	return packs[:count], nil
}

// attribute finds out which repository snapshots need a bad blob.
func (c *checker) attribute(ctx context.Context, snapshots []Snapshot) error {
	if len(c.bad.data)+len(c.bad.tree) == 0 {
		return nil
	}
	spoilt := errors.New("spoilt")
	for _, snapshot := range snapshots {
		seen := newBlobSet()
		trees := &walk{repo: c.repo, seen: seen, judge: true, problem: func(BlobType, ID, error) error { return spoilt }}
		err := trees.run(ctx, []ID{*snapshot.Tree})
		if err != nil && !errors.Is(err, spoilt) {
			return err
		}
		if err != nil || overlaps(seen.data, c.bad.data) || overlaps(seen.tree, c.bad.tree) {
			c.report.Damaged = append(c.report.Damaged, snapshot.ID)
		}
	}
	return nil
}

func overlaps(a, b map[ID]struct{}) bool {
	for id := range b {
		if _, ok := a[id]; ok {
			return true
		}
	}
	return false
}

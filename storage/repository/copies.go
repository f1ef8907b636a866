package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// Two simultaneous backups, or a backup after an interrupted one, may store the same blob in two packs. The index keeps
// one place of each blob. Once that pack turns out to be missing or damaged, this file looks for the other places in
// the index objects.

// blobRef names a blob with its type.
type blobRef struct {
	blobType BlobType
	id       ID
}

// copies are the known places of blobs whose packs could not be read.
type copies struct {
	mu     sync.Mutex
	looked map[ID]bool // packs for whose blobs places were looked for
	places map[blobRef][]packfile.Location
	listed bool // places were looked for, for the blobs of all missing packs
}

func (c *copies) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked, c.places, c.listed = nil, nil, false
}

// loadCopy reads another copy of a blob. The copy at the location at could not be read, because of failure.
func (r *Repository) loadCopy(ctx context.Context, blob blobRef, at packfile.Location, failure error) (plain []byte, err error) {
	err = r.eachCopy(ctx, blob, at, failure, func(place packfile.Location) (err error) {
		plain, err = r.loadBlobAt(ctx, place, blob.id)
		return err
	})
	return plain, err
}

// eachCopy tries the other copies of a blob, until one can be read. The copy at the location at could not be read
// because of failure, which is also the error if no other copy can be read.
func (r *Repository) eachCopy(
	ctx context.Context,
	blob blobRef,
	at packfile.Location,
	failure error,
	try func(packfile.Location) error,
) error {
	if !Unusable(ctx, failure) {
		return failure
	}
	// Archived packs count as missing ones: where there is one, there are often more.
	missing := errors.Is(failure, storage.ErrNotExist) || errors.Is(failure, storage.ErrArchived)
	places, err := r.otherPlaces(ctx, blob, at.Pack, missing)
	if err != nil {
		return fmt.Errorf("%w; to look for another copy failed too: %w", failure, err)
	}
	for _, place := range places {
		err := try(place)
		if err == nil {
			r.index.Prefer(blob.blobType, blob.id, place)
			return nil
		}
		if !Unusable(ctx, err) {
			return err
		}
	}
	if missing && len(places) > 0 {
		return fmt.Errorf("%w; nor can any other copy of it be read", failure)
	}
	return failure
}

// otherPlaces are the places of a blob outside this pack, which could not be read. One search serves all blobs of the
// pack; once a pack turns out to be missing, one search serves the blobs of all missing packs.
func (r *Repository) otherPlaces(ctx context.Context, blob blobRef, pack ID, missing bool) ([]packfile.Location, error) {
	c := &r.copies
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.looked[pack] {
		if len(c.places) > maxLookedFor {
			c.looked, c.places = nil, nil
		}
		var there map[ID]bool // nil: all may be there
		if missing && !c.listed {
			var err error
			if there, err = r.listedPacks(ctx); err != nil {
				return nil, err
			}
			c.listed = true
		}
		delete(there, pack)
		if err := r.lookForCopies(ctx, c, func(id ID) bool { return id == pack || there != nil && !there[id] }); err != nil {
			return nil, err
		}
	}
	var others []packfile.Location
	for _, place := range c.places[blob] {
		if place.Pack != pack {
			others = append(others, place)
		}
	}
	return others, nil
}

// lookForCopies finds places for all blobs of bad packs, in packs that are not bad.
func (r *Repository) lookForCopies(ctx context.Context, c *copies, bad func(ID) bool) error {
	if c.looked == nil {
		c.looked, c.places = map[ID]bool{}, map[blobRef][]packfile.Location{}
	}
	// 1. The blobs that the bad packs hold, or should hold.
	err := r.eachIndexPack(ctx, func(p packfile.Pack) {
		if !bad(p.ID) || len(c.places) > maxLookedFor && len(c.looked) > 0 {
			return // it gets its own search when it is asked for
		}
		c.looked[p.ID] = true
		for _, b := range p.Blobs {
			if ref := (blobRef{b.Type, b.ID}); c.places[ref] == nil {
				c.places[ref] = []packfile.Location{}
			}
		}
	})
	if err != nil {
		return err
	}
	// 2. The other packs that hold them.
	return r.eachIndexPack(ctx, func(p packfile.Pack) {
		if bad(p.ID) {
			return
		}
		for _, b := range p.Blobs {
			ref := blobRef{b.Type, b.ID}
			place := b.Location(p.ID)
			place.PackEnd = p.End()
			if places, wanted := c.places[ref]; wanted && len(places) < maxPlaces && !slices.Contains(places, place) {
				c.places[ref] = append(places, place)
			}
		}
	})
}

// listedPacks are the packs that exist and are not archived.
func (r *Repository) listedPacks(ctx context.Context) (map[ID]bool, error) {
	there := map[ID]bool{}
	err := r.eachListedPack(ctx, func(id ID, info storage.Info) error {
		if !info.Archived {
			there[id] = true
		}
		return nil
	})
	return there, err
}

const (
	// maxPlaces is how many copies of a blob are tried besides the known one.
	maxPlaces = 8
	// maxLookedFor bounds for how many blobs copies are looked for, unless a single pack has more. A blob takes some
	// hundred bytes.
	maxLookedFor = 256 << 10
)

// eachIndexPack goes through the packs of all readable index objects.
func (r *Repository) eachIndexPack(ctx context.Context, fn func(packfile.Pack)) error {
	return r.eachIndex(ctx, func(_ ID, object packfile.IndexObject, err error) error {
		if Undecided(ctx, err) {
			return err
		}
		for _, pack := range object.Packs {
			fn(pack)
		}
		return nil
	})
}

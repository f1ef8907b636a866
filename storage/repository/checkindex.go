package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// loadIndex reads as much of the index as it can. An index object missing from a single listing would look like damage,
// so it uses two.
func (c *checker) loadIndex(ctx context.Context) error {
	return c.repo.inTwoListings(ctx, kindIndex, func(ids []ID, gone map[ID]bool) error {
		return c.repo.eachIndexOf(ctx, ids, func(id ID, object packfile.IndexObject, err error) error {
			if errors.Is(err, storage.ErrNotExist) {
				gone[id] = true
				return nil
			}
			return c.addIndex(ctx, id, object, err)
		})
	}, func(id ID) error {
		c.problem(kindIndex.name(id), errContradiction)
		return nil
	})
}

// addIndex notes the content of an index object, or that the object cannot be read.
func (c *checker) addIndex(ctx context.Context, id ID, object packfile.IndexObject, err error) error {
	if Undecided(ctx, err) {
		return err
	}
	if err != nil {
		c.problem(kindIndex.name(id), err)
		return nil
	}
	for _, pack := range object.Packs {
		known, ok := c.packs[pack.ID]
		if !ok {
			c.packs[pack.ID] = &checkedPack{id: pack.ID, blobs: pack.Kept().Blobs, size: -1}
			c.repo.index.Add(pack)
		} else if !packfile.SameBlobs(known.blobs, pack.Blobs) {
			c.problem(kindIndex.name(id), fmt.Errorf("describes pack %s otherwise than another index object", pack.ID.Short()))
		}
	}
	return nil
}

// checkSizes compares the index with the list of packs. If packs seem to be missing from one listing, it looks in
// another.
func (c *checker) checkSizes(ctx context.Context) error {
	for range 2 {
		c.report.Unindexed = 0
		archived := map[ID]bool{}
		err := c.repo.eachListedPack(ctx, func(id ID, info storage.Info) error {
			pack, known := c.packs[id]
			switch {
			case !known:
				c.report.Unindexed++
			case info.Archived:
				archived[id] = true
				fallthrough
			case !pack.whole():
				pack.size = info.Size
			}
			return nil
		})
		if err != nil {
			return err
		}
		if archived, err = c.repo.inArchive(ctx, archived); err != nil {
			return err
		}
		for id := range archived {
			c.packs[id].archived = true
		}
		if c.allWhole() {
			return nil
		}
	}
	return nil
}

// whole reports whether a pack can be read and was listed with the size that its blobs imply.
func (p *checkedPack) whole() bool { return p.size == packfile.Size(p.blobs) && !p.archived }

func (c *checker) allWhole() bool {
	for _, pack := range c.packs {
		if !pack.whole() {
			return false
		}
	}
	return true
}

// judgeSize reports a pack that is missing, or whose size differs from what its blobs imply.
func (c *checker) judgeSize(pack *checkedPack) bool {
	if pack.whole() {
		return true
	}
	if pack.size < 0 || pack.archived {
		c.gone = append(c.gone, pack)
	} else {
		c.problem(kindData.name(pack.id), fmt.Errorf("has %d bytes; by the index it should have %d", pack.size, packfile.Size(pack.blobs)))
	}
	c.spoil(pack)
	return false
}

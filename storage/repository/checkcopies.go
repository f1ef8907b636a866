package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage"
)

// findCopies takes the blobs that are good in another pack, which it reads, out of the bad ones. A pack that is not
// there is damage, unless every one of its blobs is good elsewhere.
func (c *checker) findCopies(ctx context.Context) error {
	wanted := newBlobSet()
	for _, t := range []BlobType{DataBlob, TreeBlob} {
		for id := range c.bad.of(t) {
			wanted.add(t, id)
		}
	}
	for _, pack := range c.gone {
		for _, blob := range pack.blobs {
			if len(wanted.data)+len(wanted.tree) < maxLookedFor { // more would take memory, and where so much is missing it is gone
				wanted.add(blob.Type, blob.ID)
			}
		}
	}
	saved := newBlobSet()
	if len(wanted.data)+len(wanted.tree) == 0 {
		c.judgeGone(saved)
		return nil
	}
	for _, pack := range c.known {
		for _, blob := range pack.blobs {
			_, want := wanted.of(blob.Type)[blob.ID]
			if _, is := saved.of(blob.Type)[blob.ID]; !want || is || !pack.whole() {
				continue
			}
			_, err := c.repo.loadBlobAt(ctx, blob.Location(pack.id), blob.ID)
			if Undecided(ctx, err) {
				return err
			}
			if err == nil {
				saved.add(blob.Type, blob.ID)
				if _, refused := c.refused.of(blob.Type)[blob.ID]; !refused {
					delete(c.bad.of(blob.Type), blob.ID)
				}
			}
		}
	}
	c.judgeGone(saved)
	return nil
}

// judgeGone reports packs that are missing or archived, unless all of their blobs were found elsewhere.
func (c *checker) judgeGone(saved blobSet) {
	for _, pack := range c.gone {
		lost := false
		for _, blob := range pack.blobs {
			if _, is := saved.of(blob.Type)[blob.ID]; !is {
				lost = true
			}
		}
		switch {
		case lost && pack.archived:
			c.problem(kindData.name(pack.id), fmt.Errorf("%w: what needs it can be restored once it is brought back there; "+
				"keep the rule that archives objects away from this repository", storage.ErrArchived))
		case lost:
			c.problem(kindData.name(pack.id), errors.New("is missing; the index names it"))
		default:
			c.report.Spare++
		}
	}
}

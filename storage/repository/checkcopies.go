package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/storage"
)

// findCopies takes those blobs out of what is bad that are good in another pack, which it reads. A pack that is not there is
// damage unless every one of its blobs is.
func (c *checker) findCopies(ctx context.Context) error {
	wanted := newBlobSet()
	for _, t := range []BlobType{DataBlob, TreeBlob} {
		for id := range c.bad.of(t) {
			wanted.add(t, id)
		}
	}
	for _, pack := range c.gone {
		for _, blob := range pack.blobs {
			if len(wanted.data)+len(wanted.tree) < maxLookedFor { // more takes memory, and where so much is missing it is gone
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

// judgeGone reports the packs that are not there, or in an archive, unless all that they held has been saved.
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

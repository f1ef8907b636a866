package repository

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// archivedSample is how many packs are looked at before any is known to be archived: what one request lists. Their names are
// hashes, so that they are a sample of all.
const archivedSample = 1000

// LoadIndexToWrite is LoadIndex for whoever is going to write. Packs that somebody has moved to an archive class cannot be read:
// what relied on them could not be restored, and the index forgets them, so that their content is stored once more.
func (r *Repository) LoadIndexToWrite(ctx context.Context) error {
	var archived map[ID]bool
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.LoadIndex(groupCtx) })
	group.Go(func() (err error) {
		archived, err = r.archivedPacks(groupCtx)
		return err
	})
	if err := group.Wait(); err != nil || len(archived) == 0 {
		return err
	}
	fresh := blobindex.New()
	err := r.eachIndex(ctx, func(_ ID, object packfile.IndexObject, err error) error {
		for _, pack := range object.Packs {
			if !archived[pack.ID] {
				fresh.Add(pack)
			}
		}
		return err
	})
	if err != nil {
		fresh.Close()
		return fmt.Errorf("load the index without archived packs: %w", err)
	}
	r.useIndex(fresh)
	return nil
}

// archivedPacks lists the packs that are archived, if there are any in the sample, and if one of those cannot be read in fact.
func (r *Repository) archivedPacks(ctx context.Context) (map[ID]bool, error) {
	archived, looked := map[ID]bool{}, 0
	err := r.eachListedPack(ctx, func(id ID, info storage.Info) error {
		if info.Archived {
			archived[id] = true
		}
		if looked++; looked == archivedSample && len(archived) == 0 {
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	return r.inArchive(ctx, archived)
}

// inArchive returns the packs that a listing shows in an archive class, if one of them cannot be read in fact; else none.
func (r *Repository) inArchive(ctx context.Context, archived map[ID]bool) (map[ID]bool, error) {
	for id := range archived {
		body, err := r.bucket.Get(ctx, kindData.name(id), 0, 1)
		if err == nil {
			body.Close()
			return nil, nil // some services read from such classes by themselves
		}
		if !errors.Is(err, storage.ErrArchived) {
			return nil, fmt.Errorf("read %s: %w", kindData.name(id), err)
		}
		break
	}
	return archived, nil
}

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

// archivedSample is how many packs are looked at before any is known to be archived: as many as one request lists.
// Their names are hashes, so they are a sample of all.
const archivedSample = 1000

// LoadIndexToWrite is LoadIndex for callers that are going to write. Packs that somebody has moved to an archive class
// cannot be read, so data that relied on them could not be restored. The index forgets these packs, so that their
// content is stored once more.
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

// archivedPacks lists the archived packs, if there are any in the sample, and if one of those really cannot be read.
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

// inArchive returns the packs that a listing shows in an archive class, if one of them really cannot be read; otherwise
// none.
func (r *Repository) inArchive(ctx context.Context, archived map[ID]bool) (map[ID]bool, error) {
	for id := range archived {
		body, err := r.bucket.Get(ctx, kindData.name(id), 0, 1)
		if err == nil {
			body.Close()
			return nil, nil // some services can read from such classes directly
		}
		if !errors.Is(err, storage.ErrArchived) {
			return nil, fmt.Errorf("read %s: %w", kindData.name(id), err)
		}
		break
	}
	return archived, nil
}

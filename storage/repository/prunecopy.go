package repository

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

// repackReaders is how many packs are read at once while repacking.
const repackReaders = 2

// repack copies the needed data of wasteful and small packs into new ones. work knows the packs that stay, so that data
// in one of those is not copied.
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

// copyBlobs saves the needed blobs of a pack, and checks every blob's hash. A blob that seems damaged may have been
// changed on its way here, so copyBlobs reads it once more; only after it has closed the stream, because a Bucket may
// allow only one open stream.
func copyBlobs(ctx context.Context, repo *Repository, w *Writer, pack *prunePack) error {
	suspects, err := streamBlobs(ctx, repo, w, pack)
	if err != nil {
		return err
	}
	for _, blob := range suspects {
		plain, err := repo.loadBlobAt(ctx, blob.Location(pack.ID), blob.ID)
		if err != nil {
			return err
		}
		if _, err := w.SaveBlob(ctx, blob.Type, plain); err != nil {
			return err
		}
	}
	return nil
}

// streamBlobs reads a pack as a stream and saves its needed blobs, except those that seem damaged, which it returns.
func streamBlobs(ctx context.Context, repo *Repository, w *Writer, pack *prunePack) (suspects []packfile.Blob, err error) {
	name := kindData.name(pack.ID)
	body, err := repo.bucket.Get(ctx, name, 0, pack.size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer body.Close()
	at := int64(0)
	blobs := packfile.ByOffset(pack.needed)
	for _, blob := range blobs {
		if int64(blob.Offset) < at {
			return nil, fmt.Errorf("%s: blobs overlap in the index", name)
		}
		sealed := make([]byte, blob.Length)
		if _, err := io.CopyN(io.Discard, body, int64(blob.Offset)-at); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if _, err := io.ReadFull(body, sealed); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		at = int64(blob.Offset) + int64(blob.Length)
		plain, err := repo.OpenBlob(blob.Location(pack.ID), blob.ID, sealed, nil)
		if damaged(err) {
			suspects = append(suspects, blob)
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err := w.SaveBlob(ctx, blob.Type, plain); err != nil {
			return nil, err
		}
	}
	return suspects, nil
}

// reindex writes index objects for the packs that stay.
func (p *pruner) reindex(ctx context.Context) error {
	var object packfile.IndexObject
	size := 0
	flush := func() error {
		if len(object.Packs) == 0 {
			return nil
		}
		_, err := p.repo.saveIndex(ctx, object)
		object, size = packfile.IndexObject{}, 0
		return err
	}
	for _, pack := range p.plan.keep {
		object.Packs = append(object.Packs, pack.Pack)
		if size += pack.JSONSize(); size >= indexLimit {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

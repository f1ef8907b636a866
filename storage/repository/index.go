package repository

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
)

const (
	// indexReaders is how many index objects are read at once, and snapshotReaders how many repository snapshots, which
	// are smaller.
	indexReaders    = 4
	snapshotReaders = 8
)

// LoadIndex reads all index objects. Call it after listing the repository snapshots, or after locking: an index that is
// read later knows everything they need. LoadIndex reads nothing if the index objects are the same as last time: two
// indexes would take twice the memory.
func (r *Repository) LoadIndex(ctx context.Context) error {
	ids, err := listIDs(storage.WithDoubt(ctx, true), r.bucket, kindIndex)
	if err != nil {
		return fmt.Errorf("load the index: list index: %w", err)
	}
	if r.index.IsOf(ids) {
		return nil
	}
	fresh := blobindex.New()
	err = r.eachPackOf(ctx, ids, fresh.Add)
	if err != nil {
		fresh.Close()
		return fmt.Errorf("load the index: %w", err)
	}
	fresh.SetObjects(ids)
	r.useIndex(fresh)
	return nil
}

// useIndex takes over the content of another index, which must not be used any more.
func (r *Repository) useIndex(fresh *blobindex.Index) {
	r.index.Replace(fresh)
	r.copies.forget()
}

// openEach reads the given objects of a kind, several at once. It hands the plain bytes of each, which may be
// compressed, to fn, in no order and one at a time: to decode an object may take several times its size in memory. If
// an object cannot be read, fn gets an error that names it. The first error that fn returns ends openEach.
func (r *Repository) openEach(ctx context.Context, k kind, ids []ID, atOnce int, fn func(id ID, plain []byte, err error) error) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range ids {
		group.Go(func() error {
			plain, err := r.openObject(ctx, k, id)
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fn(id, plain, err)
		})
	}
	return group.Wait()
}

// eachPackOf reads the given index objects and hands their packs to fn, one at a time and in no order. An index object
// may name very many packs, so they are never in memory all at once. If an index object is not written in the ordinary
// way, fn may get its packs twice. The first index object that cannot be read ends eachPackOf.
func (r *Repository) eachPackOf(ctx context.Context, ids []ID, fn func(packfile.Pack)) error {
	return r.openEach(ctx, kindIndex, ids, indexReaders, func(id ID, plain []byte, err error) error {
		if err != nil {
			return err
		}
		plain, err = r.unpackObject(kindIndex, plain)
		if err == nil {
			err = packfile.EachPack(plain, fn)
		}
		if err != nil {
			return fmt.Errorf("decode %s: %w", kindIndex.name(id), err)
		}
		return nil
	})
}

// eachIndex reads all index objects, several at once, and hands each of them to fn, one at a time and in no order. If
// one cannot be read, fn gets an error that names it. The first error that fn returns ends eachIndex.
func (r *Repository) eachIndex(ctx context.Context, fn func(ID, packfile.IndexObject, error) error) error {
	ids, err := listIDs(storage.WithDoubt(ctx, true), r.bucket, kindIndex)
	if err != nil {
		return fmt.Errorf("list index: %w", err)
	}
	return r.eachIndexOf(ctx, ids, fn)
}

// eachIndexOf is eachIndex for these index objects.
func (r *Repository) eachIndexOf(ctx context.Context, ids []ID, fn func(ID, packfile.IndexObject, error) error) error {
	return r.openEach(ctx, kindIndex, ids, indexReaders, func(id ID, plain []byte, err error) error {
		var object packfile.IndexObject
		if err == nil {
			object, err = r.decodeIndex(id, plain)
		}
		return fn(id, object, err)
	})
}

func (r *Repository) decodeIndex(id ID, plain []byte) (packfile.IndexObject, error) {
	var object packfile.IndexObject
	if err := r.decodeObject(kindIndex, plain, &object); err != nil {
		return packfile.IndexObject{}, fmt.Errorf("decode %s: %w", kindIndex.name(id), err)
	}
	if err := object.Check(); err != nil {
		return packfile.IndexObject{}, fmt.Errorf("%s: %w", kindIndex.name(id), err)
	}
	return object, nil
}

// Locate says where a blob lies, according to the loaded index. It returns ErrNoBlob for an unknown blob.
func (r *Repository) Locate(t BlobType, id ID) (packfile.Location, error) {
	at, ok, err := r.index.Find(t, id)
	switch {
	case err != nil:
		return packfile.Location{}, fmt.Errorf("locate %s blob %s: %w", t, id, err)
	case !ok:
		return packfile.Location{}, fmt.Errorf("%s blob %s: %w", t, id, ErrNoBlob)
	}
	return at, nil
}

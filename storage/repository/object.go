package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// maxObjectSize bounds objects that are read whole (all but packs), stored and decompressed. Real ones stay below 8
// MiB.
const maxObjectSize = 64 << 20

// maxSize bounds an unpacked object of this kind in the same way.
func (k kind) maxSize() int64 {
	switch k {
	case kindLock:
		return 64 << 10
	case kindSnapshot: // it can name very many paths and exclude patterns
		return 16 << 20
	default:
		return maxObjectSize
	}
}

// compressedMark is the first byte of an unpacked object's plain bytes if zstd-compressed JSON follows.
const compressedMark = 0x02

// errHash says that the bytes do not match the hash in their name.
var errHash = errors.New("content does not match its name: the object is damaged")

// readError says that the bytes could not be read, which says nothing about whether they are good.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// getObject reads a whole object of at most limit bytes.
func getObject(ctx context.Context, bucket storage.Bucket, name string, limit int64) ([]byte, error) {
	body, err := bucket.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, &readError{err}
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if closeErr := body.Close(); err == nil && int64(len(data)) <= limit {
		err = closeErr
	}
	if err != nil {
		return nil, &readError{err}
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than the %d bytes that are allowed", limit)
	}
	return data, nil
}

func verifyHash(data []byte, id ID) error {
	if Hash(data) != id {
		return errHash
	}
	return nil
}

// maxCount bounds how many objects of this kind are looked at. Real numbers stay far below.
func (k kind) maxCount() int {
	switch k {
	case kindKey:
		return maxTriedKeys
	case kindLock:
		return 4096
	default:
		return 1 << 20
	}
}

// listIDs names all objects of a kind. It ignores other names: other tools leave files behind.
func listIDs(ctx context.Context, bucket storage.Bucket, k kind) ([]ID, error) {
	var ids []ID
	others, limit := 0, k.maxCount()
	err := bucket.List(ctx, k.prefix(), func(info storage.Info) error {
		if id, ok := k.parseName(info.Name); ok {
			ids = append(ids, id)
		} else {
			others++
		}
		if len(ids) > limit || others > 16*limit {
			return fmt.Errorf("%s holds more than %d objects in %s, more than any repository needs: remove those that do not belong "+
				"there with the bucket's own tools", bucket, len(ids)+others-1, k.prefix())
		}
		return nil
	})
	return ids, err
}

// eachListedPack lists all packs. It ignores other names.
func (r *Repository) eachListedPack(ctx context.Context, fn func(ID, storage.Info) error) error {
	err := r.bucket.List(ctx, kindData.prefix(), func(info storage.Info) error {
		id, ok := kindData.parseName(info.Name)
		if !ok {
			return nil
		}
		return fn(id, info)
	})
	if err != nil {
		return fmt.Errorf("list packs: %w", err)
	}
	return nil
}

// inTwoListings calls read with the names of one listing of a kind, and then with those that only a second listing has.
// Nothing protects a listing: if a name arrives wrong, or not at all, an object would vanish without a word. read puts
// objects that are not there into gone. If the second listing names them again, missing gets them; any other object was
// removed since the listing, or never had that name. The second listing is always one in doubt (storage.WithDoubt):
// otherwise what a cut listing leaves out would be lost without a word, and latest would name an older recovery point.
func (r *Repository) inTwoListings(ctx context.Context, k kind, read func(ids []ID, gone map[ID]bool) error, missing func(ID) error) error {
	tried, gone := map[ID]bool{}, map[ID]bool{}
	for _, doubt := range []bool{false, true} {
		ids, err := listIDs(storage.WithDoubt(ctx, doubt), r.bucket, k)
		if err != nil {
			return fmt.Errorf("list %s: %w", k.prefix(), err)
		}
		var fresh []ID
		for _, id := range ids {
			switch {
			case !tried[id]:
				tried[id], fresh = true, append(fresh, id)
			case gone[id]:
				if err := missing(id); err != nil {
					return err
				}
			}
		}
		if err := read(fresh, gone); err != nil {
			return err
		}
	}
	return nil
}

// encodeObject returns the JSON of an unpacked object.
func encodeObject(value any) ([]byte, error) {
	if object, ok := value.(packfile.IndexObject); ok {
		return object.AppendJSON(nil), nil
	}
	return json.Marshal(value)
}

// saveObject seals value as an unpacked object and stores it under its hash. It returns the hash even if that fails.
func (r *Repository) saveObject(ctx context.Context, k kind, value any) (ID, int, error) {
	plain, err := encodeObject(value)
	if err != nil {
		return ID{}, 0, fmt.Errorf("encode %s: %w", k, err)
	}
	if r.config.Version > 1 {
		plain = r.zstd.Compress([]byte{compressedMark}, plain)
	}
	sealed, err := r.sealer.Seal(make([]byte, 0, len(plain)+seal.Overhead), plain)
	if err != nil {
		return ID{}, 0, err
	}
	id := Hash(sealed)
	if err := r.bucket.Put(storage.WithSum(ctx, id), k.name(id), sealed); err != nil {
		return id, 0, fmt.Errorf("write %s: %w", k.name(id), err)
	}
	return id, len(sealed), nil
}

// loadObject reads an unpacked object into value. Errors name the object.
func (r *Repository) loadObject(ctx context.Context, k kind, id ID, value any) error {
	plain, err := r.openObject(ctx, k, id)
	if err != nil {
		return err
	}
	if err := r.decodeObject(k, plain, value); err != nil {
		return fmt.Errorf("decode %s: %w", k.name(id), err)
	}
	return nil
}

// openObject reads the plain bytes of an unpacked object, which may be compressed.
func (r *Repository) openObject(ctx context.Context, k kind, id ID) ([]byte, error) {
	name := k.name(id)
	var sealed []byte
	err := twice(func() (err error) {
		if sealed, err = getObject(ctx, r.bucket, name, k.maxSize()); err != nil {
			return err
		}
		return verifyHash(sealed, id)
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	plain, err := r.sealer.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return plain, nil
}

// unpackObject returns the JSON of an unpacked object.
func (r *Repository) unpackObject(k kind, plain []byte) (unpacked []byte, err error) {
	if len(plain) == 0 {
		return nil, errors.New("empty")
	}
	switch plain[0] {
	case '{', '[':
		unpacked = plain
	case compressedMark:
		if unpacked, err = r.zstd.DecompressUpTo(plain[1:], k.maxSize()); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown encoding %#02x", plain[0])
	}
	return unpacked, nil
}

func (r *Repository) decodeObject(k kind, plain []byte, value any) error {
	plain, err := r.unpackObject(k, plain)
	if err != nil {
		return err
	}
	if object, ok := value.(*packfile.IndexObject); ok {
		*object, err = packfile.DecodeIndex(plain)
		return err
	}
	return json.Unmarshal(plain, value)
}

package repository

import (
	"context"
	"errors"
	"fmt"

	"github.com/stsbackup/stsbackup/internal/wait"
	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// Init makes a repository in bucket and opens it. It returns ErrExists if there is one.
//
// Init writes the key first and the config last, and a repository exists when its config does. So an Init that dies
// leaves nothing but a key that nobody uses. A Bucket has no "create if absent", so two simultaneous Inits settle by
// their keys who goes on: whoever finds another's key gives its owner time to finish, and the lowest key goes on only
// if that owner has not finished. Init reads back what it wrote before it relies on it.
func Init(ctx context.Context, bucket storage.Bucket, password Secret, options Options) (*Repository, error) {
	options = options.withDefaults()
	if err := refuseExisting(ctx, bucket); err != nil {
		return nil, err
	}
	if err := refuseRemains(ctx, bucket); err != nil {
		return nil, err
	}
	master, err := seal.NewKey(options.Random)
	if err != nil {
		return nil, err
	}
	raw, err := newKeyObject(master, password, options)
	if err != nil {
		return nil, err
	}
	key := Hash(raw)
	if err := bucket.Put(ctx, kindKey.name(key), raw); err != nil {
		return nil, fmt.Errorf("write %s: %w", kindKey.name(key), err)
	}
	repo, err := finishInit(ctx, bucket, key, master, options)
	if err != nil {
		return nil, errors.Join(err, abandonKey(ctx, bucket, key, master, options))
	}
	return repo, nil
}

// abandonKey removes the key of an Init that failed, because a key without its config opens nothing, and restic would
// stumble over it. The key stays if the config turns out to be stored after all, or if abandonKey cannot tell.
func abandonKey(ctx context.Context, bucket storage.Bucket, key ID, master seal.Key, options Options) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), options.timing.cleanup)
	defer cancel()
	raw, err := getObject(bounded, bucket, configName, maxConfigSize)
	if err == nil {
		_, err = newRepository(bucket, master, raw, options)
		if err == nil {
			return nil
		}
	} else if !errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err := bucket.Delete(bounded, kindKey.name(key)); err != nil {
		return fmt.Errorf("remove %s: %w", kindKey.name(key), err)
	}
	return nil
}

func refuseExisting(ctx context.Context, bucket storage.Bucket) error {
	_, err := bucket.Stat(ctx, configName)
	switch {
	case err == nil:
		return fmt.Errorf("init %s: %w", bucket, ErrExists)
	case errors.Is(err, storage.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("init %s: %w", bucket, err)
	}
}

// refuseRemains keeps Init out of a repository that has lost its config: its keys look like the leftovers of an Init
// that died, and if they were removed, all of its data would be gone for good.
func refuseRemains(ctx context.Context, bucket storage.Bucket) error {
	for _, k := range []kind{kindSnapshot, kindIndex, kindData} {
		found := ""
		err := bucket.List(ctx, k.prefix(), func(info storage.Info) error {
			found = info.Name
			return errFound
		})
		if err != nil && !errors.Is(err, errFound) {
			return fmt.Errorf("init %s: %w", bucket, err)
		}
		if found == "" {
			continue
		}
		// Somebody may have made the repository, and begun to use it, since we looked for the config.
		if err := refuseExisting(ctx, bucket); err != nil {
			return err
		}
		return fmt.Errorf("init %s: there is %s of a repository whose object \"config\" is lost, and nothing is changed: bring that back "+
			"from a version or a copy of the bucket, or use another --repo", bucket, found)
	}
	return nil
}

// errFound ends a listing.
var errFound = errors.New("found")

// finishInit writes the config if it is this key's turn, and removes the keys of the Inits that lost.
func finishInit(ctx context.Context, bucket storage.Bucket, key ID, master seal.Key, options Options) (*Repository, error) {
	others, err := awaitTurn(ctx, bucket, key, options.timing)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.New(master, options.Random)
	if err != nil {
		return nil, err
	}
	config, err := newConfig(options.Random)
	if err != nil {
		return nil, err
	}
	if err := saveConfig(ctx, bucket, sealer, config); err != nil {
		return nil, err
	}
	raw, err := getObject(ctx, bucket, configName, maxConfigSize)
	if err != nil {
		return nil, fmt.Errorf("read back config: %w", err)
	}
	repo, err := newRepository(bucket, master, raw, options)
	if err != nil {
		return nil, fmt.Errorf("init %s: another client did so at the same time: %w", bucket, ErrExists)
	}
	repo.key = key
	for _, id := range others {
		if err := bucket.Delete(ctx, kindKey.name(id)); err != nil {
			return nil, fmt.Errorf("remove an unused key: %w", err)
		}
	}
	return repo, nil
}

// awaitTurn returns when this key may write the config. It also returns the other keys that were there.
func awaitTurn(ctx context.Context, bucket storage.Bucket, key ID, timing lockTiming) ([]ID, error) {
	for round := 0; ; round++ {
		others, lowest, err := otherKeys(ctx, bucket, key)
		if err != nil {
			return nil, err
		}
		if err := refuseExisting(ctx, bucket); err != nil {
			return nil, err
		}
		// Alone: a later Init sees this key, and waits. Or waited long enough: the others are dead, but those that wait
		// like us must not all go on at once.
		if len(others) == 0 || round >= timing.initRounds && lowest || round >= 2*timing.initRounds {
			return others, nil
		}
		if err := wait.For(ctx, timing.initWait); err != nil {
			return nil, err
		}
	}
}

func otherKeys(ctx context.Context, bucket storage.Bucket, key ID) (others []ID, lowest bool, err error) {
	ids, err := listIDs(ctx, bucket, kindKey)
	if err != nil {
		return nil, false, fmt.Errorf("list keys: %w", err)
	}
	lowest = true
	for _, id := range ids {
		if id == key {
			continue
		}
		others = append(others, id)
		lowest = lowest && key.String() < id.String()
	}
	return others, lowest, nil
}

// Exists reports whether there is a repository in bucket.
func Exists(ctx context.Context, bucket storage.Bucket) (bool, error) {
	_, err := bucket.Stat(ctx, configName)
	if errors.Is(err, storage.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a repository in %s: %w", bucket, err)
	}
	return true, nil
}

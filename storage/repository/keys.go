package repository

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// KeyInfo describes one of the keys of a repository: a password that opens it.
type KeyInfo struct {
	ID ID `json:"id"`
	// Created, Username and Hostname say when and by whom the key was made. Anyone who can write to the bucket can
	// change them.
	Created  time.Time `json:"created"`
	Username string    `json:"username"`
	Hostname string    `json:"hostname"`
	// InUse says that this is the key that opened the repository.
	InUse bool `json:"inUse"`
	// Damage says why the key cannot be read; such a key opens nothing.
	Damage string `json:"damage,omitempty"`
}

// Keys lists the keys, in the order of their ids.
func (r *Repository) Keys(ctx context.Context) ([]KeyInfo, error) {
	ids, err := listIDs(ctx, r.bucket, kindKey)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := []KeyInfo{}
	for _, id := range ids {
		key, err := r.loadKey(ctx, id)
		if Undecided(ctx, err) {
			return nil, fmt.Errorf("read %s: %w", kindKey.name(id), err)
		}
		info := KeyInfo{ID: id, Created: key.Created, Username: key.Username, Hostname: key.Hostname, InUse: id == r.key}
		if err != nil {
			info.Damage = err.Error()
		}
		keys = append(keys, info)
	}
	return keys, nil
}

func (r *Repository) loadKey(ctx context.Context, id ID) (keyObject, error) {
	raw, err := getObject(ctx, r.bucket, kindKey.name(id), maxKeySize)
	if err != nil {
		return keyObject{}, err
	}
	if err := verifyHash(raw, id); err != nil {
		return keyObject{}, err
	}
	return decodeKeyObject(raw)
}

// AddKey lets another password open the repository as well, and returns the new key's id. It encrypts no data anew: a
// key is the repository's master key, sealed under a password. AddKey reads the key back and tries it before it relies
// on it.
func (r *Repository) AddKey(ctx context.Context, password Secret) (id ID, err error) {
	fail := func(err error) (ID, error) { return ID{}, fmt.Errorf("add a key to %s: %w", r, err) }
	lock, err := r.Lock(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { err = lock.End(ctx, err) }()
	ctx = lock.Context()
	if err := r.roomForKeys(ctx, 1); err != nil {
		return fail(err)
	}
	raw, err := newKeyObject(r.master, password, r.options)
	if err != nil {
		return fail(err)
	}
	id = Hash(raw)
	err = r.storeKey(ctx, id, raw, password)
	if err == nil {
		// Others may have added theirs since we looked. If several add one too many, each of them sees that here.
		err = r.roomForKeys(ctx, 0)
	}
	if err != nil {
		// A key whose addition is reported as failed must not open the repository later.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.timing.cleanup)
		defer cancel()
		return fail(errors.Join(err, r.bucket.Delete(bounded, kindKey.name(id))))
	}
	return id, nil
}

// roomForKeys fails unless more keys can be added.
func (r *Repository) roomForKeys(ctx context.Context, more int) error {
	ids, err := listIDs(ctx, r.bucket, kindKey)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	if len(ids)+more > maxKeys {
		return fmt.Errorf("there may be %d keys at most: remove one first, with: stsbackup key remove", maxKeys)
	}
	return nil
}

// storeKey writes a key and tries it.
func (r *Repository) storeKey(ctx context.Context, id ID, raw []byte, password Secret) error {
	name := kindKey.name(id)
	if err := r.bucket.Put(ctx, name, raw); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	stored, err := getObject(ctx, r.bucket, name, maxKeySize)
	if err != nil {
		return fmt.Errorf("read back %s: %w", name, err)
	}
	master, err := openKeyObject(stored, password, r.options.Random)
	if err == nil && master != r.master {
		err = errHash
	}
	if err != nil {
		return fmt.Errorf("%s does not open the repository as it was stored: %w", name, err)
	}
	return nil
}

// RemoveKey removes a key, so that its password no longer opens the repository. It returns ErrNoKey if there is no key
// with this id. It returns ErrKeyNeeded for the key that this repository was opened with: whoever removes a key proves,
// by having another one, that the repository can still be opened. Anybody who once opened the repository knows its
// master key, which stays the same.
func (r *Repository) RemoveKey(ctx context.Context, id ID) (err error) {
	fail := func(err error) error { return fmt.Errorf("remove key %s of %s: %w", id.Short(), r, err) }
	if id == r.key {
		return fail(fmt.Errorf("%w: it is the one in use; use another password to remove it", ErrKeyNeeded))
	}
	// Exclusive: two callers that each remove the other's key would leave none.
	lock, err := r.LockExclusive(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { err = lock.End(ctx, err) }()
	ctx = lock.Context()
	keys, err := r.Keys(ctx)
	if err != nil {
		return fail(err)
	}
	found, ours := false, false
	for _, key := range keys {
		found = found || key.ID == id
		ours = ours || key.InUse && key.Damage == ""
	}
	if !found {
		return fail(ErrNoKey)
	}
	if !ours {
		return fail(fmt.Errorf("%w: the one in use was removed or damaged meanwhile", ErrKeyNeeded))
	}
	if err := r.remove(ctx, kindKey, []ID{id}); err != nil {
		return fail(err)
	}
	return nil
}

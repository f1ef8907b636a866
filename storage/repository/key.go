package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/scrypt"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// Limits on what a key object may demand. Key objects are the only ones that are used before anything can be
// authenticated, so anybody who can write to the bucket decides their content.
const (
	maxKeys = 32 // nobody adds more
	// maxTriedKeys is how many keys Open tries. If several processes add the last key at the same time, and die before
	// they have looked again, there are more than maxKeys keys, and that must lock nobody out.
	maxTriedKeys    = 2 * maxKeys
	maxKeySize      = 64 << 10
	maxScryptMemory = 256 << 20 // 128·N·r bytes
	maxScryptWork   = 1 << 24   // N·r·p; the default needs 1<<18, which takes about a tenth of a second
	maxScryptLanes  = 1 << 14   // r·p; each also takes 128 bytes
)

// scryptParams say how costly it is to try a password.
type scryptParams struct{ n, r, p int }

// defaultScrypt takes about a tenth of a second and 32 MiB.
func defaultScrypt() scryptParams { return scryptParams{n: 1 << 15, r: 8, p: 1} }

func (p scryptParams) check() error {
	switch {
	case p.n < 2 || p.n&(p.n-1) != 0 || p.r < 1 || p.p < 1:
		return errors.New("invalid scrypt parameters")
	case p.n > maxScryptMemory/128 || p.r > maxScryptMemory/128/p.n, p.p > maxScryptWork/p.n/p.r, p.p > maxScryptLanes/p.r:
		return fmt.Errorf("scrypt parameters N=%d r=%d p=%d ask for more memory or time than is allowed", p.n, p.r, p.p)
	}
	return nil
}

// keyObject is the JSON of a key object.
type keyObject struct {
	Created  time.Time `json:"created"`
	Username string    `json:"username"`
	Hostname string    `json:"hostname"`
	KDF      string    `json:"kdf"`
	N        int       `json:"N"`
	R        int       `json:"r"`
	P        int       `json:"p"`
	Salt     []byte    `json:"salt"`
	Data     []byte    `json:"data"`
}

// derive turns a password into the key that seals a key object's data.
func derive(password Secret, salt []byte, params scryptParams, random io.Reader) (*seal.Sealer, error) {
	raw, err := scrypt.Key([]byte(password.Reveal()), salt, params.n, params.r, params.p, 64)
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	return seal.New(seal.KeyFromBytes([64]byte(raw)), random)
}

// newKeyObject seals master under password and returns the bytes of the key object.
func newKeyObject(master seal.Key, password Secret, options Options) ([]byte, error) {
	salt := make([]byte, 64)
	if _, err := io.ReadFull(options.Random, salt); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	user, err := derive(password, salt, options.scrypt, options.Random)
	if err != nil {
		return nil, err
	}
	plain, err := master.Encode()
	if err != nil {
		return nil, err
	}
	data, err := user.Seal(nil, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keyObject{
		Created: options.Now(), Username: options.Username, Hostname: options.Hostname,
		KDF: "scrypt", N: options.scrypt.n, R: options.scrypt.r, P: options.scrypt.p, Salt: salt, Data: data,
	})
}

// openKeyObject recovers the master key from the bytes of a key object. It returns ErrWrongPassword if this key was
// made for another password.
func openKeyObject(raw []byte, password Secret, random io.Reader) (seal.Key, error) {
	key, err := decodeKeyObject(raw)
	if err != nil {
		return seal.Key{}, err
	}
	user, err := derive(password, key.Salt, scryptParams{n: key.N, r: key.R, p: key.P}, random)
	if err != nil {
		return seal.Key{}, err
	}
	plain, err := user.Open(bytes.Clone(key.Data))
	if err != nil {
		return seal.Key{}, ErrWrongPassword
	}
	return seal.DecodeKey(plain)
}

// decodeKeyObject reads a key object. It refuses one that would demand more memory or time for a try than is allowed.
func decodeKeyObject(raw []byte) (keyObject, error) {
	var key keyObject
	if err := json.Unmarshal(raw, &key); err != nil {
		return keyObject{}, fmt.Errorf("decode: %w", err)
	}
	if key.KDF != "scrypt" {
		return keyObject{}, fmt.Errorf("unknown key derivation function %.32q", key.KDF)
	}
	if err := (scryptParams{n: key.N, r: key.R, p: key.P}).check(); err != nil {
		return keyObject{}, err
	}
	return key, nil
}

// loadKey reads a key object and compares it with its name.
func loadKey(ctx context.Context, bucket storage.Bucket, id ID) (raw []byte, err error) {
	err = twice(func() (err error) {
		if raw, err = getObject(ctx, bucket, kindKey.name(id), maxKeySize); err != nil {
			return err
		}
		return verifyHash(raw, id)
	})
	return raw, err
}

// keyRing records what happened to the keys that a password was tried on.
type keyRing struct {
	bucket   storage.Bucket
	password Secret
	random   io.Reader
	use      func(ID, seal.Key) error
	failed   map[ID]error // why a tried key did not open the repository
}

// openKeys tries password on every key object and hands each master key that it opens to use, until use returns nil. It
// must go on after an unusable key: an initialisation that died half-way leaves a key that the password opens but that
// belongs to no config.
//
// Nothing protects a listing: the right key may arrive under a wrong name, or not at all. So openKeys calls a password
// wrong only after a second listing has named no other key.
func openKeys(ctx context.Context, bucket storage.Bucket, password Secret, random io.Reader, use func(ID, seal.Key) error) error {
	ring := keyRing{bucket: bucket, password: password, random: random, use: use, failed: map[ID]error{}}
	var listed []ID
	for range 2 {
		var err error
		if listed, err = listIDs(ctx, bucket, kindKey); err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		if opened, err := ring.try(ctx, listed); opened || err != nil {
			return err
		}
	}
	return ring.outcome(listed)
}

// try tries the keys that were not tried yet, until one opens the repository. Its error comes from ctx.
func (k *keyRing) try(ctx context.Context, ids []ID) (opened bool, err error) {
	for _, id := range ids {
		if _, tried := k.failed[id]; tried {
			continue
		}
		err := k.tryOne(ctx, id)
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		}
		k.failed[id] = err
	}
	return false, nil
}

func (k *keyRing) tryOne(ctx context.Context, id ID) error {
	raw, err := loadKey(ctx, k.bucket, id)
	if err != nil {
		return fmt.Errorf("read %s: %w", kindKey.name(id), err)
	}
	master, err := openKeyObject(raw, k.password, k.random)
	if err == nil {
		err = k.use(id, master)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", kindKey.name(id), err)
	}
	return nil
}

// outcome says why nothing has opened the repository. It blames a key of the last listing that cannot be read, if there
// is one, because any of the others may belong to another password.
func (k *keyRing) outcome(listed []ID) error {
	for _, id := range listed {
		if err := k.failed[id]; !errors.Is(err, ErrWrongPassword) {
			return err
		}
	}
	for _, err := range k.failed {
		if errors.Is(err, ErrWrongPassword) {
			return fmt.Errorf("%s: %w", k.bucket, ErrWrongPassword)
		}
	}
	return fmt.Errorf("%s has no key in %s, without which nothing can be read: bring it back from a version or a copy of the bucket",
		k.bucket, kindKey.prefix())
}

package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Key is the secret at the root of a repository: it seals everything but the key objects.
type Key struct {
	encrypt [32]byte // AES-256
	macK    [16]byte // AES-128 over the IV gives the second half of the one-time MAC key
	macR    [16]byte // the first half
}

// NewKey draws a key from random.
func NewKey(random io.Reader) (Key, error) {
	var raw [64]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return Key{}, fmt.Errorf("draw a master key: %w", err)
	}
	key := KeyFromBytes(raw)
	key.clamp()
	return key, nil
}

// KeyFromBytes cuts 64 bytes into the parts of a key, in the format's order for scrypt's output.
func KeyFromBytes(raw [64]byte) Key {
	var key Key
	copy(key.encrypt[:], raw[:32])
	copy(key.macK[:], raw[32:48])
	copy(key.macR[:], raw[48:])
	return key
}

// clamp clears the bits of r that Poly1305 ignores, so that the stored key equals the key in use.
func (k *Key) clamp() {
	for _, i := range []int{3, 7, 11, 15} {
		k.macR[i] &= 0x0f
	}
	for _, i := range []int{4, 8, 12} {
		k.macR[i] &= 0xfc
	}
}

// ChunkerKey is the secret that decides where files are cut: if all repositories cut alike, the sizes of the pieces
// would tell which well-known files a repository holds.
func (k *Key) ChunkerKey() []byte {
	mac := hmac.New(sha256.New, k.encrypt[:])
	mac.Write([]byte("stsbackup chunker"))
	return mac.Sum(nil)
}

// keyJSON is the form in which a key object holds the key, sealed.
type keyJSON struct {
	MAC struct {
		K []byte `json:"k"`
		R []byte `json:"r"`
	} `json:"mac"`
	Encrypt []byte `json:"encrypt"`
}

// Encode returns the key in the form that DecodeKey reads.
func (k Key) Encode() ([]byte, error) {
	var content keyJSON
	content.MAC.K, content.MAC.R, content.Encrypt = k.macK[:], k.macR[:], k.encrypt[:]
	plain, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode the master key: %w", err)
	}
	return plain, nil
}

// DecodeKey reads the key from an opened key object.
func DecodeKey(plain []byte) (Key, error) {
	var content keyJSON
	if err := json.Unmarshal(plain, &content); err != nil {
		return Key{}, fmt.Errorf("decode the master key: %w", err)
	}
	if len(content.Encrypt) != 32 || len(content.MAC.K) != 16 || len(content.MAC.R) != 16 {
		return Key{}, errors.New("the master key has parts of the wrong length")
	}
	return Key{
		encrypt: [32]byte(content.Encrypt), macK: [16]byte(content.MAC.K), macR: [16]byte(content.MAC.R),
	}, nil
}

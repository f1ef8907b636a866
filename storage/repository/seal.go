package repository

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // SA1019: the format prescribes Poly1305-AES, which no AEAD of the library offers
)

const (
	ivSize  = aes.BlockSize
	macSize = poly1305.TagSize
	// sealedOverhead is how much longer sealed bytes are than plain ones.
	sealedOverhead = ivSize + macSize
)

// errSeal says that sealed bytes were not made with this key, or were changed since.
var errSeal = errors.New("damaged or not sealed with this repository's key")

// masterKey is the secret at the root of a repository: it seals everything but the key objects.
type masterKey struct {
	encrypt [32]byte // AES-256
	macK    [16]byte // AES-128 over the IV gives the second half of the one-time MAC key
	macR    [16]byte // the first half
}

// newMasterKey draws a key from random.
func newMasterKey(random io.Reader) (masterKey, error) {
	var raw [64]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return masterKey{}, fmt.Errorf("draw a master key: %w", err)
	}
	key := keyFromBytes(raw)
	key.clamp()
	return key, nil
}

// keyFromBytes cuts 64 bytes into the parts of a key, in the order that the format gives for scrypt's output.
func keyFromBytes(raw [64]byte) masterKey {
	var key masterKey
	copy(key.encrypt[:], raw[:32])
	copy(key.macK[:], raw[32:48])
	copy(key.macR[:], raw[48:])
	return key
}

// clamp clears the bits of r that Poly1305 ignores, so that the stored key is the key in use.
func (k *masterKey) clamp() {
	for _, i := range []int{3, 7, 11, 15} {
		k.macR[i] &= 0x0f
	}
	for _, i := range []int{4, 8, 12} {
		k.macR[i] &= 0xfc
	}
}

// chunkerKey is the secret that decides where files are cut: if all cut alike, the sizes of the pieces would tell which
// well-known files a repository holds.
func (k *masterKey) chunkerKey() []byte {
	mac := hmac.New(sha256.New, k.encrypt[:])
	mac.Write([]byte("stsbackup chunker"))
	return mac.Sum(nil)
}

// sealer seals and opens with one key. It is safe for concurrent use if its source of randomness is.
type sealer struct {
	block    cipher.Block
	macBlock cipher.Block
	macR     [16]byte
	random   io.Reader
}

func newSealer(key masterKey, random io.Reader) (*sealer, error) {
	block, err := aes.NewCipher(key.encrypt[:])
	if err != nil {
		return nil, fmt.Errorf("set up encryption: %w", err)
	}
	macBlock, err := aes.NewCipher(key.macK[:])
	if err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	return &sealer{block: block, macBlock: macBlock, macR: key.macR, random: random}, nil
}

// macKey gives the one-time Poly1305 key that belongs to iv.
func (s *sealer) macKey(iv []byte) (key [32]byte) {
	copy(key[:16], s.macR[:])
	s.macBlock.Encrypt(key[16:], iv)
	return key
}

// seal appends the sealed form of plain to dst: IV, ciphertext, MAC. The two must not overlap.
func (s *sealer) seal(dst, plain []byte) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, len(plain)+sealedOverhead)[:start+ivSize+len(plain)]
	return s.finish(dst, start, plain)
}

// sealTail seals the end of buf in place: buf[start:] is room for the IV followed by the plain bytes. It returns buf
// with the MAC appended. Sealing where the bytes already are saves a copy of everything that is ever stored.
func (s *sealer) sealTail(buf []byte, start int) ([]byte, error) {
	return s.finish(buf, start, buf[start+ivSize:])
}

// finish draws the IV, encrypts plain to behind it, and appends the MAC.
func (s *sealer) finish(buf []byte, start int, plain []byte) ([]byte, error) {
	iv, text := buf[start:start+ivSize], buf[start+ivSize:]
	for drawn := false; !drawn || isZero(iv); drawn = true { // the buffer may hold anything; the format forbids a zero IV
		if _, err := io.ReadFull(s.random, iv); err != nil {
			return nil, fmt.Errorf("draw an initialisation vector: %w", err)
		}
	}
	cipher.NewCTR(s.block, iv).XORKeyStream(text, plain)
	key := s.macKey(iv)
	var mac [macSize]byte
	poly1305.Sum(&mac, text, &key)
	return append(buf, mac[:]...), nil
}

// open checks the MAC of sealed and only then decrypts it in place. The plain bytes returned lie within sealed.
func (s *sealer) open(sealed []byte) ([]byte, error) {
	if len(sealed) < sealedOverhead {
		return nil, fmt.Errorf("%d bytes are too short: %w", len(sealed), errSeal)
	}
	iv, text := sealed[:ivSize], sealed[ivSize:len(sealed)-macSize]
	key := s.macKey(iv)
	if isZero(iv) || !poly1305.Verify((*[macSize]byte)(sealed[len(sealed)-macSize:]), text, &key) {
		return nil, errSeal
	}
	cipher.NewCTR(s.block, iv).XORKeyStream(text, text)
	return text, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

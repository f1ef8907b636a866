package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // SA1019: the format prescribes Poly1305-AES, which no AEAD of the library offers
)

const (
	// IVSize is the length of the initialisation vector at the beginning of sealed bytes.
	IVSize = aes.BlockSize
	// MACSize is the length of the MAC at their end.
	MACSize = poly1305.TagSize
	// Overhead is how much longer sealed bytes are than plain ones.
	Overhead = IVSize + MACSize
)

// ErrDamaged says that sealed bytes were not made with this key, or were changed since.
var ErrDamaged = errors.New("damaged or not sealed with this repository's key")

// Sealer seals and opens with one key. It is safe for concurrent use if its source of randomness is.
type Sealer struct {
	block    cipher.Block
	macBlock cipher.Block
	macR     [16]byte
	random   io.Reader
}

// New makes a Sealer, which draws initialisation vectors from random.
func New(key Key, random io.Reader) (*Sealer, error) {
	block, err := aes.NewCipher(key.encrypt[:])
	if err != nil {
		return nil, fmt.Errorf("set up encryption: %w", err)
	}
	macBlock, err := aes.NewCipher(key.macK[:])
	if err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	return &Sealer{block: block, macBlock: macBlock, macR: key.macR, random: random}, nil
}

// macKey returns the one-time Poly1305 key that belongs to iv.
func (s *Sealer) macKey(iv []byte) (key [32]byte) {
	copy(key[:16], s.macR[:])
	s.macBlock.Encrypt(key[16:], iv)
	return key
}

// Seal appends the sealed form of plain to dst: IV, ciphertext, MAC. The two must not overlap.
func (s *Sealer) Seal(dst, plain []byte) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, len(plain)+Overhead)[:start+IVSize+len(plain)]
	return s.finish(dst, start, plain)
}

// SealTail seals the end of buf in place: buf[start:] is room for the IV followed by the plain bytes. It returns buf
// with the MAC appended. Sealing in place saves a copy of everything that is ever stored.
func (s *Sealer) SealTail(buf []byte, start int) ([]byte, error) {
	return s.finish(buf, start, buf[start+IVSize:])
}

// finish draws the IV, writes the encrypted plain behind it, and appends the MAC.
func (s *Sealer) finish(buf []byte, start int, plain []byte) ([]byte, error) {
	iv, text := buf[start:start+IVSize], buf[start+IVSize:]
	for drawn := false; !drawn || isZero(iv); drawn = true { // the buffer may hold anything; the format forbids a zero IV
		if _, err := io.ReadFull(s.random, iv); err != nil {
			return nil, fmt.Errorf("draw an initialisation vector: %w", err)
		}
	}
	cipher.NewCTR(s.block, iv).XORKeyStream(text, plain)
	key := s.macKey(iv)
	var mac [MACSize]byte
	poly1305.Sum(&mac, text, &key)
	return append(buf, mac[:]...), nil
}

// Open checks the MAC of sealed and only then decrypts it in place. The plain bytes returned lie within sealed.
func (s *Sealer) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, fmt.Errorf("%d bytes are too short: %w", len(sealed), ErrDamaged)
	}
	iv, text := sealed[:IVSize], sealed[IVSize:len(sealed)-MACSize]
	key := s.macKey(iv)
	if isZero(iv) || !poly1305.Verify((*[MACSize]byte)(sealed[len(sealed)-MACSize:]), text, &key) {
		return nil, ErrDamaged
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

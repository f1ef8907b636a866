package seal

import (
	"crypto/cipher"
	"io"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // SA1019: see seal.go
)

// Check computes the MAC of sealed bytes that arrive part by part. The caller writes the ciphertext to it, which never
// fails.
type Check struct {
	iv  [IVSize]byte
	mac *poly1305.MAC
}

// Check begins a check of the bytes that were sealed with an initialisation vector.
func (s *Sealer) Check(iv [IVSize]byte) *Check {
	key := s.macKey(iv[:])
	return &Check{iv: iv, mac: poly1305.New(&key)}
}

// Write adds a part of the ciphertext.
func (c *Check) Write(part []byte) (int, error) { return c.mac.Write(part) }

// Compare compares the MAC of everything written with the stored one. It returns ErrDamaged if they differ.
func (c *Check) Compare(stored []byte) error {
	if isZero(c.iv[:]) || !c.mac.Verify(stored) {
		return ErrDamaged
	}
	return nil
}

// Decrypt returns a stream of plain bytes for a ciphertext whose MAC has been compared.
func (s *Sealer) Decrypt(iv [IVSize]byte, text io.Reader) io.Reader {
	return cipher.StreamReader{S: cipher.NewCTR(s.block, iv[:]), R: text}
}

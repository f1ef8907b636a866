package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // SA1019: see seal.go
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMACVectors checks the one-time key against the test vectors of the paper that defines Poly1305-AES (appendix B).
func TestMACVectors(t *testing.T) {
	tests := []struct{ message, r, k, nonce, mac string }{
		{
			"f3f6", "851fc40c3467ac0be05cc20404f3f700", "ec074c835580741701425b623235add6",
			"fb447350c4e868c52ac3275cf9d4327e", "f4c633c3044fc145f84f335cb81953de",
		},
		{
			"", "a0f3080000f46400d0c7e9076c834403", "75deaa25c09f208e1dc4ce6b5cad3fbf",
			"61ee09218d29b0aaed7e154a2c5509cc", "dd3fab2251f11ac759f0887129cc2ee7",
		},
	}
	for _, tt := range tests {
		var key Key
		copy(key.macR[:], unhex(t, tt.r))
		copy(key.macK[:], unhex(t, tt.k))
		s, err := New(key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		oneTime := s.macKey(unhex(t, tt.nonce))
		var mac [16]byte
		poly1305.Sum(&mac, unhex(t, tt.message), &oneTime)
		if got := hex.EncodeToString(mac[:]); got != tt.mac {
			t.Errorf("MAC of %q = %s, want %s", tt.message, got, tt.mac)
		}
	}
}

// TestCipherVector checks the ciphertext against NIST SP 800-38A, F.5.5 (CTR-AES256.Encrypt).
func TestCipherVector(t *testing.T) {
	var key Key
	copy(key.encrypt[:], unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	iv := unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
	s, err := New(key, bytes.NewReader(iv))
	if err != nil {
		t.Fatal(err)
	}
	plain := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
	sealed, err := s.Seal(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	want := append(iv, unhex(t, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5")...)
	if !bytes.Equal(sealed[:len(want)], want) {
		t.Errorf("sealed %x, want %x and a MAC", sealed, want)
	}
}

func newTestSealer(t *testing.T) *Sealer {
	t.Helper()
	key, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenFindsEveryFlippedBit(t *testing.T) {
	s := newTestSealer(t)
	plain := []byte("attack at dawn")
	sealed, err := s.Seal([]byte("before"), plain)
	if err != nil {
		t.Fatal(err)
	}
	sealed = sealed[len("before"):]
	if got, err := s.Open(bytes.Clone(sealed)); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open = %q, %v", got, err)
	}
	for i := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := s.Open(damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d flipped: %v, want ErrDamaged", i, err)
		}
	}
	for n := range sealed {
		if _, err := s.Open(bytes.Clone(sealed[:n])); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v, want ErrDamaged", n, err)
		}
	}
	if _, err := newTestSealer(t).Open(sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v, want ErrDamaged", err)
	}
}

func TestSealNeverReusesWhatIsInTheBuffer(t *testing.T) {
	s := newTestSealer(t)
	buf := bytes.Repeat([]byte{0xaa}, 64) // a buffer that held something else before
	sealed, err := s.SealTail(buf[:32], 0)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(sealed[:IVSize], buf[40:40+IVSize]) {
		t.Error("the initialisation vector was not drawn")
	}
}

// TestChunkerKeyVector compares the key with the one in docs/format.md, as another implementation of HMAC computes it.
// A different key would cut all files in other places, and the repository would have nothing of the next backup
// already.
func TestChunkerKeyVector(t *testing.T) {
	var raw [64]byte
	for i := range raw {
		raw[i] = byte(i)
	}
	key := KeyFromBytes(raw)
	const want = "7dc0cffa6cab6ebfa4707126f0eefa6abcdfd7665228ec26763ce7f4ab06420c"
	if got := hex.EncodeToString(key.ChunkerKey()); got != want {
		t.Errorf("chunker key %s, want %s", got, want)
	}
}

// TestStream reads sealed bytes as a stream: it gets the same bytes, and never changed ones.
func TestStream(t *testing.T) {
	s := newTestSealer(t)
	plain := bytes.Repeat([]byte("attack at dawn "), 100)
	sealed, err := s.Seal(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	check := func(sealed []byte) error {
		c := s.Check([IVSize]byte(sealed))
		for part := range slices.Chunk(sealed[IVSize:len(sealed)-MACSize], 7) {
			if _, err := c.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		return c.Compare(sealed[len(sealed)-MACSize:])
	}
	if err := check(sealed); err != nil {
		t.Errorf("what was sealed: %v", err)
	}
	text := bytes.NewReader(sealed[IVSize : len(sealed)-MACSize])
	if got, err := io.ReadAll(s.Decrypt([IVSize]byte(sealed), text)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("decrypted to %q, %v", got, err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if err := check(changed); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d changed: %v, want ErrDamaged", i, err)
		}
	}
	if err := check(make([]byte, Overhead)); !errors.Is(err, ErrDamaged) {
		t.Errorf("zeros: %v, want ErrDamaged", err)
	}
}

package repository

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
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
		var key masterKey
		copy(key.macR[:], unhex(t, tt.r))
		copy(key.macK[:], unhex(t, tt.k))
		s, err := newSealer(key, rand.Reader)
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
	var key masterKey
	copy(key.encrypt[:], unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	iv := unhex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
	s, err := newSealer(key, bytes.NewReader(iv))
	if err != nil {
		t.Fatal(err)
	}
	plain := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
	sealed, err := s.seal(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	want := append(iv, unhex(t, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5")...)
	if !bytes.Equal(sealed[:len(want)], want) {
		t.Errorf("sealed %x, want %x and a MAC", sealed, want)
	}
}

func newTestSealer(t *testing.T) *sealer {
	t.Helper()
	key, err := newMasterKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSealer(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenFindsEveryFlippedBit(t *testing.T) {
	s := newTestSealer(t)
	plain := []byte("attack at dawn")
	sealed, err := s.seal([]byte("before"), plain)
	if err != nil {
		t.Fatal(err)
	}
	sealed = sealed[len("before"):]
	if got, err := s.open(bytes.Clone(sealed)); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open = %q, %v", got, err)
	}
	for i := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := s.open(damaged); !errors.Is(err, errSeal) {
			t.Errorf("bit %d flipped: %v, want errSeal", i, err)
		}
	}
	for n := range sealed {
		if _, err := s.open(bytes.Clone(sealed[:n])); !errors.Is(err, errSeal) {
			t.Errorf("cut to %d bytes: %v, want errSeal", n, err)
		}
	}
	if _, err := newTestSealer(t).open(sealed); !errors.Is(err, errSeal) {
		t.Errorf("another key: %v, want errSeal", err)
	}
}

func TestSealNeverReusesWhatIsInTheBuffer(t *testing.T) {
	s := newTestSealer(t)
	buf := bytes.Repeat([]byte{0xaa}, 64) // a buffer that held something else before
	sealed, err := s.sealTail(buf[:32], 0)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(sealed[:ivSize], buf[40:40+ivSize]) {
		t.Error("the initialisation vector was not drawn")
	}
}

func TestSecretShowsNothing(t *testing.T) {
	secret := Secret("hunter2")
	wrapped := struct{ S Secret }{secret}
	for _, format := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d"} {
		for _, value := range []any{secret, &secret, wrapped} {
			if got := fmt.Sprintf(format, value); bytes.Contains([]byte(got), []byte("hunter2")) || bytes.Contains([]byte(got), []byte("68756e")) {
				t.Errorf("%s shows %s", format, got)
			}
		}
	}
	if text, err := secret.MarshalText(); err != nil || string(text) != redacted {
		t.Errorf("MarshalText = %s, %v", text, err)
	}
	if secret.Reveal() != "hunter2" {
		t.Error("Reveal does not")
	}
}

// TestChunkerKeyVector holds the key to what docs/format.md says, as another implementation of HMAC computes it. Another
// one would cut all files in other places, and nothing of the next backup would be in the repository already.
func TestChunkerKeyVector(t *testing.T) {
	var raw [64]byte
	for i := range raw {
		raw[i] = byte(i)
	}
	key := keyFromBytes(raw)
	const want = "7dc0cffa6cab6ebfa4707126f0eefa6abcdfd7665228ec26763ce7f4ab06420c"
	if got := hex.EncodeToString(key.chunkerKey()); got != want {
		t.Errorf("chunker key %s, want %s", got, want)
	}
}

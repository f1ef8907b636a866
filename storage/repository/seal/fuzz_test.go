package seal

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// constant is no randomness at all: a fuzz target must do the same with an input every time, or the fuzzer follows
// noise.
type constant struct{}

func (constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0x5a
	}
	return len(p), nil
}

// FuzzSeal changes sealed bytes, and opens bytes that were never sealed.
func FuzzSeal(f *testing.F) {
	key, err := NewKey(constant{})
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(key, constant{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("attack at dawn"), uint(3), byte(1))
	f.Add([]byte{}, uint(0), byte(128))
	f.Add(bytes.Repeat([]byte("text "), 100), uint(40), byte(255))
	f.Fuzz(func(t *testing.T, plain []byte, at uint, change byte) {
		sealed, err := s.Seal(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		whole := slices.Clone(sealed)
		if got, err := s.Open(sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened as %q, %v", got, err)
		}
		if _, err := s.Open(slices.Clone(plain)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("opened what was not sealed: %v", err)
		}
		if _, err := s.Open(slices.Clone(whole[:at%uint(len(whole))])); !errors.Is(err, ErrDamaged) {
			t.Fatalf("opened what was cut off: %v", err)
		}
		whole[at%uint(len(whole))] ^= change
		if _, err := s.Open(whole); change != 0 && !errors.Is(err, ErrDamaged) {
			t.Fatalf("opened what was changed: %v", err)
		}
	})
}

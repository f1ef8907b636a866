package repository

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

// TestOpenTriesAllKeys has keys of all sorts beside the right one.
func TestOpenTriesAllKeys(t *testing.T) {
	repo, bucket := newRepo(t)
	add := func(data []byte) { put(t, bucket, kindKey.name(Hash(data)), data) }
	other, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // the same password, but for a repository that was never finished
		raw, err := newKeyObject(other, password, quick().withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		add(raw)
	}
	second, err := newKeyObject(repo.master, "another password", quick().withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	add(second)
	add([]byte("no key at all"))
	add(hostileKey(t, 1<<40, 8, 1))
	put(t, bucket, "keys/"+strings.Repeat("0", 64), second) // not its name
	put(t, bucket, "keys/README", []byte("not a key"))
	for _, p := range []Secret{password, "another password"} {
		got, err := Open(t.Context(), bucket, p, quick())
		if err != nil || got.ID() != repo.ID() {
			t.Errorf("open: %v", err)
		}
	}
	if _, err := Open(t.Context(), bucket, "wrong", quick()); err == nil {
		t.Error("opened with a wrong password")
	}
}

func hostileKey(t *testing.T, n, r, p int) []byte {
	t.Helper()
	raw, err := json.Marshal(keyObject{KDF: "scrypt", N: n, R: r, P: p, Salt: make([]byte, 64), Data: make([]byte, 200)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestHostileKeysAreBounded(t *testing.T) {
	tests := [][3]int{
		{1 << 40, 8, 1},
		{1 << 15, 1 << 30, 1},
		{1 << 15, 8, 1 << 30},
		{1 << 62, 1 << 62, 1 << 62},
		{0, 8, 1},
		{3, 8, 1},
		{-16, 8, 1},
		{16, 0, 1},
		{16, 1, 0},
	}
	for _, tt := range tests {
		if _, err := openKeyObject(hostileKey(t, tt[0], tt[1], tt[2]), password, rand.Reader); err == nil || errors.Is(err, ErrWrongPassword) {
			t.Errorf("N=%d r=%d p=%d: %v, want a refusal before anything is computed", tt[0], tt[1], tt[2], err)
		}
	}
	// Parameters that restic chooses on a fast machine are allowed.
	if err := (scryptParams{n: 1 << 15, r: 8, p: 12}).check(); err != nil {
		t.Error(err)
	}
	_, bucket := newRepo(t)
	for i := range maxTriedKeys {
		raw := fmt.Appendf(nil, "key %d", i)
		put(t, bucket, kindKey.name(Hash(raw)), raw)
	}
	if _, err := Open(t.Context(), bucket, password, quick()); err == nil || !strings.Contains(err.Error(), "more than 64 objects in keys/") {
		t.Errorf("too many keys: %v", err)
	}
}

package repository

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository/seal"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// What restic 0.14 wrote for a directory with a file and a symlink.
const (
	resticKey = `{"created":"2026-11-21T13:53:21.427359583Z","username":"root","hostname":"vm","kdf":"scrypt","N":32768,"r":8,"p":1,` +
		`"salt":"FjcGFq7nA0tFV+ftGOEipo7S2hTFJvR+PMZGPCmyZtLNnhbPTAaOYnSs/MOVaX1JLQQaSHVnNH7dpbRsfIIW5g==",` +
		`"data":"yHnhkxHB4uTA555TgmNwKL+wVT9fSqB5Q/vCdyJ3M+6bNg05n5P6Wvb5S7yrlF7wazzQDRRoXQVvkxxxRjImWOXZcGzheDmcM92/RQbJOLmFYF1pdcOdPz` +
		`pKOHqaP3BZSGeJ9B8/xeOFziFWo73X3rArcGlPUTwuuZOQDNJH3qNw5wLT8V8zEpuR130ZU7aq3AfAwV+mHqpmwTwG8h2AfA=="}`
	resticConfig = `{"version":2,"id":"b65b251f56e382e733f0a1c1e5724b029f622d6152afe248c1b288a4209b49d9",` +
		`"chunker_polynomial":"23ab7761c004df"}`
	resticSnapshot = `{"time":"2026-11-21T13:53:22.096738854+01:00",` +
		`"tree":"b34c72c49df06cd13ea392b17ec3a99fdf420abf5bca05bf0c8934b1a86cd50d",` +
		`"paths":["/srv/d"],"hostname":"vm","username":"root","uid":1000,"gid":1000,"excludes":["*.o"],"tags":["a","b=c"]}`
	resticLock = `{"time":"2026-11-21T13:53:22.006734048Z","exclusive":true,"hostname":"vm","username":"root","pid":4711,"uid":1000,` +
		`"gid":1000}`
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

// produced is a small repository, and the plain bytes of its objects, by kind.
func produced(f *testing.F) (*Repository, map[kind][][]byte) {
	f.Helper()
	ctx, bucket := f.Context(), storagetest.NewMemory()
	options := hasty()
	options.Random = constant{}
	repo, err := Init(ctx, bucket, password, options)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []volume{{"a": noise("a", 5000), "b": "b", "c": ""}, {"a": noise("a", 5000), "\xff\"": "x"}} {
		if _, err := backUp(ctx, repo, v); err != nil {
			f.Fatal(err)
		}
	}
	lock, err := repo.Lock(ctx)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = lock.Release(ctx) })
	plain := map[kind][][]byte{}
	for _, k := range []kind{kindIndex, kindSnapshot, kindLock} {
		ids, err := listIDs(ctx, bucket, k)
		if err != nil || len(ids) == 0 {
			f.Fatalf("%d %s, %v", len(ids), k, err)
		}
		for _, id := range ids {
			sealed, err := getObject(ctx, bucket, k.name(id), k.maxSize())
			if err != nil {
				f.Fatal(err)
			}
			opened, err := repo.sealer.Open(sealed)
			if err != nil {
				f.Fatal(err)
			}
			plain[k] = append(plain[k], opened)
		}
	}
	return repo, plain
}

// encoded is the JSON of a decoded value, for which encoding must succeed.
func encoded(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	return data
}

// sameAgain checks that a decoder reads its own encoding as the same value.
func sameAgain[T any](t *testing.T, value T, decode func([]byte) (T, error)) {
	t.Helper()
	first := encoded(t, value)
	again, err := decode(first)
	if err != nil {
		t.Fatalf("%s cannot be read again: %v", first, err)
	}
	if second := encoded(t, again); !bytes.Equal(first, second) {
		t.Fatalf("%s was read as %s", first, second)
	}
}

func FuzzKey(f *testing.F) {
	// The same in every process: fuzzing processes get their inputs from another one.
	master := seal.KeyFromBytes([64]byte([]byte(noise("key", 64))))
	raw, err := newKeyObject(master, password, quick().withDefaults())
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := master.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, sealed)
	f.Add([]byte(resticKey), []byte(`{"mac":{"k":"","r":null},"encrypt":"AA=="}`))
	f.Add([]byte(`{"kdf":"scrypt","N":1099511627776,"r":8,"p":1}`), []byte("{}"))
	f.Add([]byte(`{"kdf":"scrypt","N":2,"r":1,"p":33554432}`), []byte("[]"))
	f.Fuzz(func(t *testing.T, raw, sealed []byte) {
		if key, err := seal.DecodeKey(sealed); err == nil {
			encoded, err := key.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := seal.DecodeKey(encoded); err != nil || again != key {
				t.Fatalf("master key %v was read as %v, %v", key, again, err)
			}
		}
		key, err := decodeKeyObject(raw)
		if err != nil {
			return
		}
		if key.N*key.R > maxScryptMemory/128 || key.R*key.P > maxScryptLanes || key.N*key.R*key.P > maxScryptWork {
			t.Fatalf("N=%d r=%d p=%d is let through", key.N, key.R, key.P)
		}
		sameAgain(t, key, decodeKeyObject)
		if key.N*key.R*key.P > 64 {
			return // too slow to try thousands of times
		}
		if opened, err := openKeyObject(raw, password, rand.Reader); err == nil && opened != master {
			t.Fatal("a password opened a key that was made without it")
		}
	})
}

func FuzzConfig(f *testing.F) {
	c, err := newConfig(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := json.Marshal(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte(resticConfig))
	f.Add([]byte(`{"version":3}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		c, err := decodeConfig(plain)
		if err != nil {
			return
		}
		if c.Version != 1 && c.Version != 2 {
			t.Fatalf("version %d", c.Version)
		}
		sameAgain(t, c, decodeConfig)
	})
}

func FuzzSnapshot(f *testing.F) {
	repo, plain := produced(f)
	for _, data := range plain[kindSnapshot] {
		f.Add(data)
	}
	f.Add([]byte(resticSnapshot))
	decode := func(data []byte) (Snapshot, error) {
		var snapshot Snapshot
		err := repo.decodeObject(kindSnapshot, data, &snapshot)
		return snapshot, err
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		snapshot, err := decode(data)
		if err != nil {
			return
		}
		sameAgain(t, snapshot, decode)
		for _, tag := range snapshot.Tags {
			if !snapshot.HasTag(tag) {
				t.Fatalf("tag %q is lost", tag)
			}
		}
	})
}

func FuzzLock(f *testing.F) {
	repo, plain := produced(f)
	for _, data := range plain[kindLock] {
		f.Add(data, int64(0))
	}
	f.Add([]byte(resticLock), int64(31*time.Minute))
	f.Add([]byte(resticLock), int64(29*time.Minute))
	decode := func(data []byte) (lockObject, error) {
		var lock lockObject
		err := repo.decodeObject(kindLock, data, &lock)
		return lock, err
	}
	f.Fuzz(func(t *testing.T, data []byte, age int64) {
		lock, err := decode(data)
		if err != nil {
			return
		}
		sameAgain(t, lock, decode)
		nobody := func(int) bool { return true }
		old := age > int64(30*time.Minute)
		if stale := lock.stale(lock.Time.Add(time.Duration(age)), "host", 30*time.Minute, nobody); stale != old {
			t.Fatalf("a lock of age %v counts as stale: %v", time.Duration(age), stale)
		}
	})
}

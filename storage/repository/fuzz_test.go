package repository

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// What restic 0.14 wrote about a directory of a file and a symlink.
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
	resticIndex = `{"packs":[{"id":"05720a4e2466609976537e344eb21813578c6217f9e3f9423de8aff3002af96b","blobs":[` +
		`{"id":"98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4","type":"data","offset":0,"length":44,` +
		`"uncompressed_length":3}]},` +
		`{"id":"36c3d9b6958f5c17af01eb825ed420d8f5956a1e29d7ad4d940f22b4827ceef7","blobs":[` +
		`{"id":"b34c72c49df06cd13ea392b17ec3a99fdf420abf5bca05bf0c8934b1a86cd50d","type":"tree","offset":310,"length":248,` +
		`"uncompressed_length":351},` +
		`{"id":"de9901cd03344cefdac4c00082ab3bcc73fa56c642611d94292bf0744116c85d","type":"tree","offset":0,"length":310,` +
		`"uncompressed_length":643}]}]}`
)

// constant is no randomness at all: what a target does with an input must be the same every time, or the fuzzer follows
// noise.
type constant struct{}

func (constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0x5a
	}
	return len(p), nil
}

// produced is a small repository, and the plain bytes of its objects by their kind, trees under "tree".
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
			opened, err := repo.sealer.open(sealed)
			if err != nil {
				f.Fatal(err)
			}
			plain[k] = append(plain[k], opened)
		}
	}
	for id := range repo.index.tree.recent {
		tree, err := repo.LoadBlob(ctx, TreeBlob, id)
		if err != nil {
			f.Fatal(err)
		}
		plain["tree"] = append(plain["tree"], tree)
	}
	return repo, plain
}

// encoded is the JSON of something that has been decoded, which must be possible.
func encoded(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	return data
}

// sameAgain holds a decoder to reading its own encoding as the same.
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
	// The same in every process: those that fuzz get their inputs from another one.
	master := keyFromBytes([64]byte([]byte(noise("key", 64))))
	raw, err := newKeyObject(master, password, quick().withDefaults())
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := master.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, sealed)
	f.Add([]byte(resticKey), []byte(`{"mac":{"k":"","r":null},"encrypt":"AA=="}`))
	f.Add([]byte(`{"kdf":"scrypt","N":1099511627776,"r":8,"p":1}`), []byte("{}"))
	f.Add([]byte(`{"kdf":"scrypt","N":2,"r":1,"p":33554432}`), []byte("[]"))
	f.Fuzz(func(t *testing.T, raw, sealed []byte) {
		if key, err := decodeMasterKey(sealed); err == nil {
			encoded, err := key.encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := decodeMasterKey(encoded); err != nil || again != key {
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

func FuzzIndex(f *testing.F) {
	repo, plain := produced(f)
	for _, data := range plain[kindIndex] {
		f.Add(data)
	}
	f.Add([]byte(resticIndex))
	f.Add([]byte(`{"packs":[{"id":"` + ID{}.String() + `","blobs":[{},0,null]}]}`))
	decode := func(data []byte) (indexObject, error) {
		var object indexObject
		err := repo.decodeObject(kindIndex, data, &object)
		if err == nil {
			err = object.check()
		}
		return object, err
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		indexDecodesAlike(t, data)
		object, err := decode(data)
		if err != nil {
			return
		}
		sameAgain(t, object, decode)
		index := newIndex()
		for _, pack := range object.Packs {
			index.add(pack)
			if size := packSize(pack.Blobs); size < 0 || size > math.MaxUint32*2 {
				t.Fatalf("pack %s has size %d", pack.ID, size)
			}
		}
		for _, pack := range object.Packs {
			for _, blob := range pack.Blobs {
				at, ok, _ := index.find(blob.Type, blob.ID)
				if !ok || uint64(at.Offset)+uint64(at.Length) > uint64(at.packEnd) || at.PlainLength > maxBlobSize {
					t.Fatalf("blob %s is at %+v, %v", blob.ID, at, ok)
				}
			}
		}
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

func FuzzTree(f *testing.F) {
	_, plain := produced(f)
	for _, data := range plain["tree"] {
		f.Add(data)
	}
	f.Add(treeOfEverything(f))
	f.Add([]byte(`{"nodes":[]}`))
	f.Add([]byte(`{"later":{"nodes":[]},"nodes":[{"name":"..","type":"file","content":[0,0],"extended_attributes":[{}]}],"more":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for i := range data {
			decodesAlike(t, data[i:])
		}
		nodes, err := decodeTree(data)
		if err != nil {
			return
		}
		first := treeOf(t, nodes)
		again, err := decodeTree(first)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", first, err)
		}
		if second := treeOf(t, again); !bytes.Equal(first, second) {
			t.Fatalf("%s was read as %s", first, second)
		}
		for _, node := range nodes {
			if err := node.CheckName(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// decodesAlike compares our decoder of nodes with that of package json.
func decodesAlike(t testing.TB, data []byte) (length int) {
	t.Helper()
	var got, want Node
	length = decodeNode(data, &got)
	if length == 0 {
		return 0
	}
	if err := json.Unmarshal(data[:length], &want); err != nil {
		t.Fatalf("%s is no node: %v", data[:length], err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s was read as %+v instead of %+v", data[:length], got, want)
	}
	return length
}

func treeOf(t testing.TB, nodes []Node) []byte {
	t.Helper()
	var tree TreeEncoder
	for _, node := range nodes {
		if err := tree.Add(node); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	}
	return tree.Bytes()
}

// FuzzSeal changes sealed bytes, and opens bytes that were never sealed.
func FuzzSeal(f *testing.F) {
	key, err := newMasterKey(constant{})
	if err != nil {
		f.Fatal(err)
	}
	s, err := newSealer(key, constant{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("attack at dawn"), uint(3), byte(1))
	f.Add([]byte{}, uint(0), byte(128))
	f.Add(bytes.Repeat([]byte("text "), 100), uint(40), byte(255))
	f.Fuzz(func(t *testing.T, plain []byte, at uint, change byte) {
		sealed, err := s.seal(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		whole := slices.Clone(sealed)
		if got, err := s.open(sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened as %q, %v", got, err)
		}
		if _, err := s.open(slices.Clone(plain)); !errors.Is(err, errSeal) {
			t.Fatalf("opened what was not sealed: %v", err)
		}
		if _, err := s.open(slices.Clone(whole[:at%uint(len(whole))])); !errors.Is(err, errSeal) {
			t.Fatalf("opened what was cut off: %v", err)
		}
		whole[at%uint(len(whole))] ^= change
		if _, err := s.open(whole); change != 0 && !errors.Is(err, errSeal) {
			t.Fatalf("opened what was changed: %v", err)
		}
	})
}

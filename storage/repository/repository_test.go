package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

const password = Secret("correct horse")

// quick makes trying a password cheap.
func quick() Options {
	return Options{scrypt: scryptParams{n: 16, r: 1, p: 1}, Hostname: "host", PID: 1}
}

func newRepo(t *testing.T) (*Repository, *storagetest.Memory) {
	t.Helper()
	bucket := storagetest.NewMemory()
	repo, err := Init(t.Context(), bucket, password, quick())
	if err != nil {
		t.Fatal(err)
	}
	return repo, bucket
}

func reopen(t *testing.T, bucket storage.Bucket) *Repository {
	t.Helper()
	repo, err := Open(t.Context(), bucket, password, quick())
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func list(t *testing.T, bucket storage.Bucket, prefix string) []string {
	t.Helper()
	var names []string
	err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func get(t *testing.T, bucket storage.Bucket, name string) []byte {
	t.Helper()
	body, err := bucket.Get(t.Context(), name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, bucket storage.Bucket, name string, data []byte) {
	t.Helper()
	if err := bucket.Put(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

func TestInitAndOpen(t *testing.T) {
	repo, bucket := newRepo(t)
	again := reopen(t, bucket)
	if again.ID() != repo.ID() || !bytes.Equal(again.ChunkerKey(), repo.ChunkerKey()) || len(repo.ChunkerKey()) != 32 {
		t.Error("the repository is another one when it is opened again")
	}
	if !repo.config.ChunkerPolynomial.Irreducible() || repo.config.ChunkerPolynomial.Deg() != 53 {
		t.Errorf("polynomial %v", repo.config.ChunkerPolynomial)
	}
	if _, err := Open(t.Context(), bucket, "wrong", quick()); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := Open(t.Context(), storagetest.NewMemory(), password, quick()); !errors.Is(err, ErrNoRepository) {
		t.Errorf("empty bucket: %v", err)
	}
	if _, err := Init(t.Context(), bucket, password, quick()); !errors.Is(err, ErrExists) {
		t.Errorf("second init: %v", err)
	}
	if keys := list(t, bucket, "keys/"); len(keys) != 1 {
		t.Errorf("keys: %v", keys)
	}
}

// TestInitAtOnce starts many Inits at the same time: whoever wins, all use one repository, with one key.
func TestInitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := storagetest.NewMemory()
		ids := make([]string, 8)
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() {
				repo, err := Init(t.Context(), bucket, password, quick())
				if errors.Is(err, ErrExists) {
					repo, err = Open(t.Context(), bucket, password, quick())
				}
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = repo.ID()
			})
		}
		group.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("several repositories: %v", ids)
			}
		}
		if keys := list(t, bucket, "keys/"); len(keys) != 1 {
			t.Errorf("%d keys are left", len(keys))
		}
	})
}

// TestInitAfterCrash finds the key of an Init that died before it wrote the config.
func TestInitAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, bucket := newRepo(t)
		if err := bucket.Delete(t.Context(), configName); err != nil {
			t.Fatal(err)
		}
		left := list(t, bucket, "keys/")
		if _, err := Init(t.Context(), bucket, password, quick()); err != nil {
			t.Fatal(err)
		}
		if keys := list(t, bucket, "keys/"); len(keys) != 1 || keys[0] == left[0] {
			t.Errorf("keys %v, after %v", keys, left)
		}
		reopen(t, bucket)
	})
}

// TestInitSparesRemains finds a repository that has lost its config: without its key the data would be lost as well.
func TestInitSparesRemains(t *testing.T) {
	for _, name := range []string{
		"data/00/" + strings.Repeat("0", 64), "index/" + strings.Repeat("0", 64), "snapshots/" + strings.Repeat("0", 64),
	} {
		_, bucket := newRepo(t)
		put(t, bucket, name, []byte("something"))
		if err := bucket.Delete(t.Context(), configName); err != nil {
			t.Fatal(err)
		}
		left := list(t, bucket, "")
		if _, err := Init(t.Context(), bucket, password, quick()); err == nil || errors.Is(err, ErrExists) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("init: %v", err)
		}
		if now := list(t, bucket, ""); !slices.Equal(left, now) {
			t.Errorf("init has changed a damaged repository: %v, before: %v", now, left)
		}
	}
}

// TestInitFails stops an Init at each of its operations: nothing that is left blocks the next Init.
func TestInitFails(t *testing.T) {
	for _, name := range []string{configName, "keys/"} {
		bucket := &failing{Bucket: storagetest.NewMemory(), name: name}
		if _, err := Init(t.Context(), bucket, password, quick()); !errors.Is(err, storage.ErrNoSpace) {
			t.Fatalf("init: %v", err)
		}
		if left := list(t, bucket, ""); len(left) > 0 {
			t.Errorf("a failed init left %v", left)
		}
	}
}

// failing refuses to store objects whose names start with name.
type failing struct {
	storage.Bucket
	name string
}

func (f *failing) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, f.name) {
		return fmt.Errorf("put %s: %w", name, storage.ErrNoSpace)
	}
	return f.Bucket.Put(ctx, name, data)
}

func TestSnapshots(t *testing.T) {
	repo, bucket := newRepo(t)
	tree := saved(t, repo, TreeBlob, new(treeblob.Encoder).Bytes())[0]
	var want []ID
	for i := range 3 {
		id, _, err := repo.SaveSnapshot(t.Context(), Snapshot{
			Time: time.Date(2026, 11, 21, 10-i, 0, 0, 0, time.UTC), Tree: &tree, Paths: []string{"/x"}, Tags: []string{"a", "k=v=w"},
		})
		if err != nil {
			t.Fatal(err)
		}
		want = append([]ID{id}, want...)
	}
	got, err := reopen(t, bucket).Snapshots(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("%d, %v", len(got), err)
	}
	for i := range got {
		if got[i].ID != want[i] {
			t.Errorf("number %d is %s, want %s: oldest first", i, got[i].ID, want[i])
		}
	}
	if v, ok := got[0].Tag("k"); !ok || v != "v=w" {
		t.Errorf("tag k = %q, %v", v, ok)
	}
	if _, ok := got[0].Tag("a"); ok || !got[0].HasTag("a") || got[0].HasTag("k") {
		t.Error("tags with and without values are mixed up")
	}
	if _, err := repo.LoadSnapshot(t.Context(), Hash(nil)); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("unknown: %v", err)
	}
}

// TestDamageIsNamed flips a bit in every object in turn: reading fails and names the object.
func TestDamageIsNamed(t *testing.T) {
	repo, bucket := newRepo(t)
	data := saved(t, repo, DataBlob, []byte("some data"))[0]
	tree := saved(t, repo, TreeBlob, new(treeblob.Encoder).Bytes())[0]
	if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &tree, Paths: []string{"/x"}}); err != nil {
		t.Fatal(err)
	}
	// readAll reads every object; blobs are at the beginning of their packs, where the test flips bits.
	readAll := func() error {
		repo, err := Open(t.Context(), bucket, password, quick())
		if err != nil {
			return err
		}
		_, snapshotErr := repo.Snapshots(t.Context())
		if err := repo.LoadIndex(t.Context()); err != nil {
			return errors.Join(snapshotErr, err)
		}
		_, dataErr := repo.LoadBlob(t.Context(), DataBlob, data)
		_, treeErr := repo.LoadTree(t.Context(), tree)
		return errors.Join(snapshotErr, dataErr, treeErr)
	}
	if err := readAll(); err != nil {
		t.Fatal(err)
	}
	names := list(t, bucket, "")
	if len(names) != 7 { // config, key, two packs, two index objects, repository snapshot
		t.Fatalf("objects: %v", names)
	}
	for _, name := range names {
		whole := get(t, bucket, name)
		for what, damaged := range map[string][]byte{"flipped": flip(whole, 20), "cut": whole[:18], "empty": {}} {
			put(t, bucket, name, damaged)
			if err := readAll(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %s: %v, want an error that names it", name, what, err)
			}
		}
		put(t, bucket, name, whole)
	}
	if err := readAll(); err != nil {
		t.Fatal(err)
	}
}

func flip(data []byte, at int) []byte {
	damaged := bytes.Clone(data)
	damaged[at] ^= 0x10
	return damaged
}

// TestObjectEncodings reads unpacked objects as they were written before compression existed, and refuses other encodings.
func TestObjectEncodings(t *testing.T) {
	repo, bucket := newRepo(t)
	tree := Hash(nil)
	encoded, err := json.Marshal(Snapshot{Tree: &tree, Hostname: "old"})
	if err != nil {
		t.Fatal(err)
	}
	bomb := repo.zstd.Compress([]byte{compressedMark}, make([]byte, maxObjectSize+1))
	tests := map[string]struct {
		plain []byte
		want  string
	}{
		"plain JSON":    {encoded, ""},
		"unknown":       {[]byte{3, 1, 2}, "unknown encoding"},
		"empty":         {nil, "empty"},
		"broken zstd":   {[]byte{compressedMark, 1, 2, 3}, "decompress"},
		"zstd bomb":     {bomb, "more than is allowed"},
		"no JSON":       {[]byte("{"), "JSON"},
		"names no tree": {[]byte("{}"), "no tree"},
	}
	for name, tt := range tests {
		sealed, err := repo.sealer.Seal(nil, tt.plain)
		if err != nil {
			t.Fatal(err)
		}
		id := Hash(sealed)
		put(t, bucket, kindSnapshot.name(id), sealed)
		_, err = repo.LoadSnapshot(t.Context(), id)
		if tt.want == "" && err != nil ||
			tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), id.String())) {
			t.Errorf("%s: %v, want %q and the object's name", name, err, tt.want)
		}
	}
}

func TestHostileIndex(t *testing.T) {
	valid := packfile.Blob{ID: Hash([]byte("x")), Type: DataBlob, Offset: 0, Length: 100}
	tests := map[string]func(*packfile.Blob){
		"unknown type":        func(b *packfile.Blob) { b.Type = "index" },
		"shorter than a seal": func(b *packfile.Blob) { b.Length = 31 },
		"outside of the pack": func(b *packfile.Blob) { b.Offset = format.MaxPackSize - 10 },
		"huge":                func(b *packfile.Blob) { b.Length = 1<<32 - 1 },
		"huge when plain":     func(b *packfile.Blob) { b.UncompressedLength = 1<<32 - 1 },
		"nothing compressed":  func(b *packfile.Blob) { b.Length, b.UncompressedLength = 32, 10 },
	}
	for name, change := range tests {
		repo, bucket := newRepo(t)
		blob := valid
		change(&blob)
		id, _, err := repo.saveObject(t.Context(), kindIndex, packfile.IndexObject{
			Packs: []packfile.Pack{{ID: Hash(nil), Blobs: []packfile.Blob{blob}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := reopen(t, bucket).LoadIndex(t.Context()); err == nil || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%s: %v, want an error that names the index object", name, err)
		}
	}
}

// TestLyingIndex has index entries that are possible but not true: no bytes come out, and no more memory is taken than they say.
func TestLyingIndex(t *testing.T) {
	repo, _ := newRepo(t)
	plain := bytes.Repeat([]byte("zeros "), 1<<20)
	id := saved(t, repo, DataBlob, plain)[0]
	truth, _ := repo.Locate(DataBlob, id)
	tests := map[string]func(*packfile.Location){
		"shorter than it is": func(at *packfile.Location) { at.PlainLength = 10 },
		"longer than it is":  func(at *packfile.Location) { at.PlainLength += 10 },
		"not compressed":     func(at *packfile.Location) { at.Compressed = false },
		"one byte off":       func(at *packfile.Location) { at.Offset++ },
		"one byte short":     func(at *packfile.Location) { at.Length-- },
	}
	for name, change := range tests {
		at := truth
		change(&at)
		sealed, err := repo.ReadPack(t.Context(), at.Pack, int64(at.Offset), nil, int(at.Length))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.OpenBlob(at, id, sealed, nil); err == nil || !strings.Contains(err.Error(), at.Pack.String()) {
			t.Errorf("%s: %v, want an error that names the pack", name, err)
		}
	}
	sealed, err := repo.ReadPack(t.Context(), truth.Pack, int64(truth.Offset), nil, int(truth.Length))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.OpenBlob(truth, Hash([]byte("other")), sealed, nil); !errors.Is(err, errHash) {
		t.Errorf("another blob's id: %v, want errHash", err)
	}
}

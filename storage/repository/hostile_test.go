package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/blobindex"
	"github.com/stsbackup/stsbackup/storage/repository/compress"
	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/packfile"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// refusedWithin is how long a refusal may take, on a busy machine.
const refusedWithin = time.Minute

// refused expects an error that names the object, in time, and that takes at most so many bytes of memory, counting
// memory that was freed.
func refused(t *testing.T, what, object string, bytes uint64, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), refusedWithin)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		t.Fatalf("%s: not refused within %s", what, refusedWithin)
	}
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), object) {
		t.Errorf("%s: %v, want an error that names %s", what, err, object)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > bytes {
		t.Errorf("%s: took %d bytes of memory, want at most %d", what, took, bytes)
	}
}

// forgeObject seals plain bytes as an object of a kind, and returns its name.
func forgeObject(t *testing.T, repo *Repository, k kind, plain []byte) string {
	t.Helper()
	sealed, err := repo.sealer.Seal(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	id := Hash(sealed)
	put(t, repo.bucket, k.name(id), sealed)
	return k.name(id)
}

// forgeBlob stores plain bytes as a blob that the index calls by any id and describes as lie changes the description.
func forgeBlob(t *testing.T, repo *Repository, blobType BlobType, id ID, plain []byte, lie func(*packfile.Blob)) (pack string) {
	t.Helper()
	compressor, err := compress.NewCompressor(compress.Max) // compresses everything
	if err != nil {
		t.Fatal(err)
	}
	p := packfile.NewBuilder(blobType, dataPackSize, repo.sealer, compressor)
	p.Begin(nil)
	if _, err := p.Add(id, plain); err != nil {
		t.Fatal(err)
	}
	data, described, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	put(t, repo.bucket, kindData.name(described.ID), data)
	if lie != nil {
		lie(&described.Blobs[0])
	}
	if _, _, err := repo.saveObject(t.Context(), kindIndex, packfile.IndexObject{Packs: []packfile.Pack{described}}); err != nil {
		t.Fatal(err)
	}
	return kindData.name(described.ID)
}

// endless is a bucket that lists ten million objects in a folder, and counts how many of them somebody looked at.
type endless struct {
	storage.Bucket
	folder string
	format string
	listed int
}

func (e *endless) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	if prefix != e.folder {
		return e.Bucket.List(ctx, prefix, fn)
	}
	for i := range 10_000_000 {
		e.listed++
		if err := fn(storage.Info{Name: e.folder + fmt.Sprintf(e.format, i), Size: 100}); err != nil {
			return err
		}
	}
	return nil
}

func TestTenMillionKeysAndLocks(t *testing.T) {
	repo, memory := newRepo(t)
	repo.options = hasty().withDefaults()
	for _, format := range []string{"%064x", "rubbish-%d"} {
		for folder, uses := range map[string]map[string]func(context.Context, *Repository) error{
			"keys/": {
				"open": func(ctx context.Context, r *Repository) error {
					_, err := Open(ctx, r.bucket, password, hasty())
					return err
				},
				"list keys": func(ctx context.Context, r *Repository) error { _, err := r.Keys(ctx); return err },
				"add a key": func(ctx context.Context, r *Repository) error { _, err := r.AddKey(ctx, "new"); return err },
				"check":     func(ctx context.Context, r *Repository) error { _, err := r.Check(ctx, CheckOptions{}); return err },
			},
			"locks/": {
				"lock":   func(ctx context.Context, r *Repository) error { _, err := r.Lock(ctx); return err },
				"unlock": func(ctx context.Context, r *Repository) error { _, err := r.Unlock(ctx, nil); return err },
				"prune":  func(ctx context.Context, r *Repository) error { _, err := r.Prune(ctx, PruneOptions{}); return err },
			},
		} {
			for what, use := range uses {
				bucket := &endless{Bucket: memory, folder: folder, format: format}
				work := repo.withIndex(blobindex.New())
				work.bucket = bucket
				refused(t, what, folder, 64<<20, func(ctx context.Context) error { return use(ctx, work) })
				if bucket.listed > 100_000 {
					t.Errorf("%s: listed %d objects", what, bucket.listed)
				}
			}
		}
	}
}

func TestHostileKeysCostNothing(t *testing.T) {
	for _, params := range [][3]int{{1 << 40, 8, 1}, {2, 1, 1 << 25}, {2, 1 << 20, 1}, {1 << 20, 1, 1 << 20}} {
		_, bucket := newRepo(t)
		for _, name := range list(t, bucket, "keys/") {
			if err := bucket.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		raw := hostileKey(t, params[0], params[1], params[2])
		name := kindKey.name(Hash(raw))
		put(t, bucket, name, raw)
		refused(t, fmt.Sprintf("N=%d r=%d p=%d", params[0], params[1], params[2]), name, 1<<20, func(ctx context.Context) error {
			_, err := Open(ctx, bucket, password, quick())
			return err
		})
	}
}

// TestBombs has objects that are small as stored, and many times larger when read.
func TestBombs(t *testing.T) {
	const size = 8 << 20
	zeros := func(begin, end string) []byte {
		return slices.Concat([]byte(begin), bytes.Repeat([]byte("0,"), size/2), []byte("0"), []byte(end))
	}
	compressed := func(repo *Repository, plain []byte) []byte { return repo.zstd.Compress([]byte{compressedMark}, plain) }
	window := []byte{compressedMark, 0x28, 0xb5, 0x2f, 0xfd, 0, 0xa0, 1, 0, 0} // an empty frame that claims to need 1 GiB
	tests := map[string]struct {
		kind  kind
		plain func(*Repository) []byte
	}{
		"an index of zeros":       {kindIndex, func(r *Repository) []byte { return compressed(r, zeros(`{"packs":[`, `]}`)) }},
		"a pack of zeros":         {kindIndex, func(r *Repository) []byte { return compressed(r, zeros(`{"packs":[{"blobs":[`, `]}]}`)) }},
		"a window of 1 GiB":       {kindIndex, func(*Repository) []byte { return window }},
		"a snapshot of 16 MiB":    {kindSnapshot, func(r *Repository) []byte { return compressed(r, make([]byte, 16<<20+1)) }},
		"a lock of 8 MiB":         {kindLock, func(r *Repository) []byte { return compressed(r, make([]byte, size)) }},
		"a lock of 8 MiB, stored": {kindLock, func(*Repository) []byte { return make([]byte, size) }},
	}
	for what, tt := range tests {
		repo, _ := newRepo(t)
		name := forgeObject(t, repo, tt.kind, tt.plain(repo))
		refused(t, what, name, 128<<20, func(ctx context.Context) error {
			_, listErr := repo.Snapshots(ctx)
			_, lockErr := repo.Lock(ctx)
			return errors.Join(listErr, lockErr, repo.LoadIndex(ctx))
		})
	}
	for what, plain := range map[string][]byte{
		"a tree of zeros":         zeros(`{"nodes":[`, `]}`),
		"content of zeros":        zeros(`{"nodes":[{"name":"x","content":[`, `]}]}`),
		"attributes of zeros":     zeros(`{"nodes":[{"name":"x","extended_attributes":[`, `]}]}`),
		"very many small entries": manyNodes(size / 2),
	} {
		repo, _ := newRepo(t)
		id := saved(t, repo, TreeBlob, plain)[0]
		refused(t, what, id.String(), 192<<20, func(ctx context.Context) error {
			_, err := repo.LoadTree(ctx, id)
			return err
		})
	}
}

// manyNodes is a tree of the smallest entries that JSON allows.
func manyNodes(size int) []byte {
	tree := []byte(`{"nodes":[{"name":"0"}`)
	for i := 1; len(tree) < size; i++ {
		tree = fmt.Appendf(tree, `,{"name":"1%08d"}`, i)
	}
	return append(tree, `]}`...)
}

// TestBlobsThatAreNotWhatTheIndexSays has an index that lies about where a blob is and how large. Nobody allocates
// memory because of a lie, or reads from elsewhere, and every message names the pack.
func TestBlobsThatAreNotWhatTheIndexSays(t *testing.T) {
	plain := bytes.Repeat([]byte("text "), 1000)
	for what, lie := range map[string]func(*packfile.Blob){
		"1 GiB of plain bytes":    func(b *packfile.Blob) { b.UncompressedLength = format.MaxBlobSize },
		"1 GiB as it is stored":   func(b *packfile.Blob) { b.Length = format.MaxBlobSize },
		"far outside of the pack": func(b *packfile.Blob) { b.Offset = 1 << 30 },
		"just outside":            func(b *packfile.Blob) { b.Offset = 150 },
		"one byte more":           func(b *packfile.Blob) { b.UncompressedLength++ },
		"one byte less":           func(b *packfile.Blob) { b.UncompressedLength-- },
		"not compressed":          func(b *packfile.Blob) { b.UncompressedLength = 0 },
	} {
		repo, _ := newRepo(t)
		id := Hash(plain)
		pack := forgeBlob(t, repo, TreeBlob, id, plain, lie)
		if err := repo.LoadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused(t, what, pack, 16<<20, func(ctx context.Context) error { _, err := repo.LoadBlob(ctx, TreeBlob, id); return err })
		refused(t, what+", read as a tree", pack, 16<<20, func(ctx context.Context) error { _, err := repo.LoadTree(ctx, id); return err })
		report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
		if err != nil || !slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == pack }) {
			t.Errorf("%s: check finds %+v, %v", what, report.Problems, err)
		}
	}
}

// TestOverlappingBlobs has an index with blobs that share bytes of their pack.
func TestOverlappingBlobs(t *testing.T) {
	repo, bucket := newRepo(t)
	pack := packfile.Pack{ID: Hash(nil), Blobs: []packfile.Blob{
		{ID: Hash([]byte("b")), Type: DataBlob, Offset: 100, Length: 100},
		{ID: Hash([]byte("a")), Type: DataBlob, Offset: 0, Length: 101},
	}}
	id, _, err := repo.saveObject(t.Context(), kindIndex, packfile.IndexObject{Packs: []packfile.Pack{pack}})
	if err != nil {
		t.Fatal(err)
	}
	name := kindIndex.name(id)
	refused(t, "load", name, 1<<20, func(ctx context.Context) error { return repo.LoadIndex(ctx) })
	refused(t, "prune", name, 8<<20, func(ctx context.Context) error { _, err := repo.Prune(ctx, PruneOptions{}); return err })
	if report, err := repo.Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) != 1 || report.Problems[0].Object != name {
		t.Errorf("check: %+v, %v", report, err)
	}
	if left := list(t, bucket, "index/"); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestTreesThatNeverEnd has a tree that contains itself, thanks to an index that lies about its id, and one with sixty
// levels, where both entries on each level are the same: 2^60 directories, and yet sixty trees.
func TestTreesThatNeverEnd(t *testing.T) {
	repo, _ := newRepo(t)
	self := Hash([]byte("self"))
	pack := forgeBlob(t, repo, TreeBlob, self, treeOf(t, []treeblob.Node{{Name: "x", Type: treeblob.Dir, Subtree: &self}}), nil)
	if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &self}); err != nil {
		t.Fatal(err)
	}
	refused(t, "a tree that contains itself", pack, 64<<20, func(ctx context.Context) error {
		_, err := repo.Prune(ctx, PruneOptions{DryRun: true})
		return err
	})
	if report, err := repo.Check(t.Context(), CheckOptions{}); err != nil || len(report.Problems) == 0 || report.Trees != 1 ||
		len(report.Damaged) != 1 {
		t.Errorf("check: %+v, %v", report, err)
	}

	bucket := storagetest.NewMemory()
	repo, err := Init(t.Context(), bucket, password, quick())
	if err != nil {
		t.Fatal(err)
	}
	w, err := repo.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tree, err := w.SaveBlob(t.Context(), TreeBlob, new(treeblob.Encoder).Bytes())
	for range 60 {
		if err != nil {
			t.Fatal(err)
		}
		tree, err = w.SaveBlob(
			t.Context(),
			TreeBlob,
			treeOf(t, []treeblob.Node{{Name: "a", Type: treeblob.Dir, Subtree: &tree}, {Name: "b", Type: treeblob.Dir, Subtree: &tree}}),
		)
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := repo.SaveSnapshot(t.Context(), Snapshot{Tree: &tree}); err != nil {
		t.Fatal(err)
	}
	if report := sound(t, bucket, nil); report.Trees != 61 {
		t.Errorf("%+v", report)
	}
}

func treeOf(t testing.TB, nodes []treeblob.Node) []byte {
	t.Helper()
	var tree treeblob.Encoder
	for _, node := range nodes {
		if err := tree.Add(node); err != nil {
			t.Fatal(err)
		}
	}
	return tree.Bytes()
}

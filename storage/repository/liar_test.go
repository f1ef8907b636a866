package repository_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/catalog"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// liar is a recovery point of one volume with two files. Somebody who knows the key has replaced one of its blobs by
// another, correctly sealed one: only its hash gives it away.
type liar struct {
	memory *storagetest.Memory
	points *catalog.Catalog
	repo   *repository.Repository
	id     string
	// blobs are the blobs by their role.
	blobs map[string]struct {
		blobType repository.BlobType
		id       repository.ID
	}
	file, other string // contents
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{
		memory: storagetest.NewMemory(), id: "20261121T081200Z-3fa9", file: strings.Repeat("precious ", 1000), other: "other",
		blobs: map[string]struct {
			blobType repository.BlobType
			id       repository.ID
		}{},
	}
	var err error
	if l.points, err = catalog.OpenOrCreate(t.Context(), l.memory, "demo", "web", "password"); err != nil {
		t.Fatal(err)
	}
	l.repo = l.points.Repository()
	dir := t.TempDir()
	for name, content := range map[string]string{"file": l.file, "sub/other": l.other} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	result, err := archive.Backup(t.Context(), l.repo, archive.Source{
		Dir: dir, Name: "www-web-0", Host: "demo/web",
		Tags: []string{catalog.TagStsbackup, catalog.TagRecoveryPoint + "=" + l.id, catalog.TagClaim + "=www-web-0"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)
	err = l.points.Commit(t.Context(), catalog.Record{
		ID: catalog.RecoveryPointID(l.id), State: catalog.StateComplete, Namespace: "demo", StatefulSet: "web", Started: at, Finished: at,
		Volumes: []catalog.Volume{{Claim: "www-web-0", Capture: catalog.CaptureLive, RepositorySnapshot: result.RepositorySnapshot}},
	}, map[string][]byte{"StatefulSet.yaml": []byte("kind: StatefulSet\n")})
	if err != nil {
		t.Fatal(err)
	}
	l.learn(t)
	return l
}

// copy is another bucket with the same content.
func (l *liar) copy(t *testing.T) *liar {
	t.Helper()
	fresh := *l
	fresh.memory = storagetest.NewMemory()
	for _, name := range names(t, l.memory, "") {
		body, err := l.memory.Get(t.Context(), name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close(), fresh.memory.Put(t.Context(), name, data)); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if fresh.points, err = catalog.Open(t.Context(), fresh.memory, "demo", "web", "password"); err != nil {
		t.Fatal(err)
	}
	fresh.repo = fresh.points.Repository()
	return &fresh
}

// learn finds the blobs.
func (l *liar) learn(t *testing.T) {
	t.Helper()
	add := func(what string, blobType repository.BlobType, id repository.ID) {
		l.blobs[what] = struct {
			blobType repository.BlobType
			id       repository.ID
		}{blobType, id}
	}
	snapshots, err := l.repo.Snapshots(t.Context())
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("%d repository snapshots, %v", len(snapshots), err)
	}
	var visit func(prefix string, tree repository.ID)
	visit = func(prefix string, tree repository.ID) {
		add("tree "+prefix, repository.TreeBlob, tree)
		nodes, err := l.repo.LoadTree(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes {
			if node.Subtree != nil {
				visit(prefix+"/"+node.Name, *node.Subtree)
			} else {
				add("data "+prefix+"/"+node.Name, repository.DataBlob, node.Content[0])
			}
		}
	}
	for _, snapshot := range snapshots {
		visit(map[bool]string{true: "record", false: "volume"}[snapshot.HasTag(catalog.TagRecord)], *snapshot.Tree)
	}
}

// replace makes the index name a blob with other content in place of the blob, and returns that blob's pack.
func (l *liar) replace(t *testing.T, what string) (pack string) {
	t.Helper()
	if err := l.repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, l.memory, "demo/web/index/") {
		if err := l.memory.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for other, blob := range l.blobs {
		plain, err := l.repo.LoadBlob(t.Context(), blob.blobType, blob.id)
		if err != nil {
			t.Fatal(err)
		}
		if other == what {
			last := plain[len(plain)-1:] // in JSON a line break, which a space can replace
			last[0] = map[bool]byte{true: 'x', false: ' '}[last[0] == ' ']
		}
		forged := repository.ForgeBlob(t, l.repo, blob.blobType, blob.id, plain)
		if other == what {
			pack = forged
		}
	}
	return pack
}

func names(t *testing.T, bucket storage.Bucket, prefix string) (names []string) {
	t.Helper()
	err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// readers are all readers of blobs, each with the blobs that it must meet.
func (l *liar) readers(t *testing.T) map[string]struct {
	reads []string
	read  func() error
} {
	volume := func() repository.Snapshot {
		snapshots, err := l.repo.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return snapshots[slices.IndexFunc(snapshots, func(s repository.Snapshot) bool { return !s.HasTag(catalog.TagRecord) })]
	}
	browse := func(where string, use func(treeblob.Node) error) error {
		if err := l.repo.LoadIndex(t.Context()); err != nil {
			return err
		}
		node, err := archive.Lookup(t.Context(), l.repo, volume(), "www-web-0", where)
		if err != nil {
			return err
		}
		return use(node)
	}
	trees := []string{"tree volume", "tree volume/www-web-0", "tree volume/www-web-0/sub"}
	record := []string{"tree record", "data record/record.json"}
	manifests := append([]string{"tree record/manifests", "data record/manifests/StatefulSet.yaml"}, record...)
	everything := slices.Concat(trees, manifests, []string{"data volume/www-web-0/file", "data volume/www-web-0/sub/other"})
	return map[string]struct {
		reads []string
		read  func() error
	}{
		"restore": {append([]string{"data volume/www-web-0/file", "data volume/www-web-0/sub/other"}, trees...), func() error {
			target := t.TempDir()
			_, err := archive.Restore(t.Context(), l.repo, archive.Target{Snapshot: volume(), Name: "www-web-0", Dir: target}, nil)
			for name, want := range map[string]string{"file": l.file, "sub/other": l.other} {
				if got, readErr := os.ReadFile(filepath.Join(target, name)); readErr == nil && strings.Trim(string(got), "\x00") != "" &&
					string(got) != want {
					t.Errorf("restored %s as %d bytes that were never backed up", name, len(got))
				}
			}
			return err
		}},
		"cat": {append([]string{"data volume/www-web-0/sub/other"}, trees...), func() error {
			return browse("/sub/other", func(node treeblob.Node) error {
				var out strings.Builder
				err := archive.Copy(t.Context(), l.repo, node, &out)
				if err != nil && out.Len() > 0 {
					t.Errorf("printed %q", out.String())
				}
				return err
			})
		}},
		"ls": {trees, func() error {
			return browse("/sub", func(node treeblob.Node) error {
				_, err := archive.Entries(t.Context(), l.repo, node)
				return err
			})
		}},
		"list":      {record, func() error { _, err := l.points.List(t.Context()); return err }},
		"find":      {record, func() error { _, err := l.points.Find(t.Context(), "latest"); return err }},
		"manifests": {manifests, func() error { _, err := l.points.Manifests(t.Context(), catalog.RecoveryPointID(l.id)); return err }},
		"verify": {everything, func() error {
			v, err := l.points.Verify(t.Context(), "", repository.CheckOptions{ReadData: 1})
			for _, problem := range v.Repository.Problems {
				err = errors.Join(err, errors.New(problem.Object+": "+problem.Reason))
			}
			if err != nil && v.OK() {
				t.Errorf("problems, and all is well: %v", err)
			}
			return err
		}},
		"backup": {nil, func() error { // it compares with what it can read, and needs none of it
			_, err := archive.Backup(t.Context(), l.repo, archive.Source{Dir: t.TempDir(), Name: "www-web-0", Host: "demo/web"}, nil)
			return err
		}},
	}
}

// TestEveryReaderChecksHashes replaces each blob in turn, and runs every reader: readers that meet the blob refuse it
// and name its pack, and the others do not.
func TestEveryReaderChecksHashes(t *testing.T) {
	truth := newLiar(t)
	for what := range truth.blobs {
		t.Run(what, func(t *testing.T) {
			l := truth.copy(t)
			pack := l.replace(t, what)
			for name, reader := range l.readers(t) {
				err := reader.read()
				switch must := slices.Contains(reader.reads, what); {
				case must && (err == nil || !strings.Contains(err.Error(), pack) || !strings.Contains(err.Error(), "does not match")):
					t.Errorf("%s: %v, want an error that names %s", name, err, pack)
				case !must && err != nil:
					t.Errorf("%s: %v, and it need not read that", name, err)
				}
			}
		})
	}
}

// TestPruneCopiesNoLies has prune merge packs, one of which has a blob with wrong content: no object is removed.
func TestPruneCopiesNoLies(t *testing.T) {
	l := newLiar(t)
	for what, blob := range l.blobs {
		if blob.blobType != repository.DataBlob {
			continue // prune reads all trees before it begins
		}
		l := l.copy(t)
		pack := l.replace(t, what)
		before := names(t, l.memory, "")
		_, err := l.repo.Prune(t.Context(), repository.MergeAll())
		if err == nil || !strings.Contains(err.Error(), pack) || !strings.Contains(err.Error(), "does not match") {
			t.Errorf("prune: %v, want an error that names %s", err, pack)
		}
		after := names(t, l.memory, "")
		if gone := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(after, name) }); len(gone) > 0 {
			t.Errorf("prune has removed %v", gone)
		}
	}
}

package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// blobs keeps saved blobs in memory.
type blobs struct {
	mu    sync.Mutex
	plain map[repository.ID][]byte
	fail  func(repository.BlobType, []byte) error // if set
}

func (b *blobs) SaveBlob(_ context.Context, kind repository.BlobType, plain []byte) (repository.ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err := b.fail(kind, plain); err != nil {
			return repository.ID{}, err
		}
	}
	id := repository.Hash(plain)
	b.plain[id] = bytes.Clone(plain)
	return id, nil
}

// files adds the contents of all files below a tree, by path.
func (b *blobs) files(t *testing.T, tree repository.ID, path string, found map[string]string) {
	t.Helper()
	var entries struct{ Nodes []treeblob.Node }
	if err := json.Unmarshal(b.plain[tree], &entries); err != nil {
		t.Fatal(err)
	}
	for _, node := range entries.Nodes {
		name := filepath.Join(path, node.Name)
		if node.Type == treeblob.Dir {
			b.files(t, *node.Subtree, name, found)
			continue
		}
		var content strings.Builder
		for _, id := range node.Content {
			content.Write(b.plain[id])
		}
		found[name] = content.String()
	}
}

// saving returns a walker that saves into memory, and a directory for it.
func saving(t *testing.T, files map[string]string) (*walker, *blobs, string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	saved := &blobs{plain: map[repository.ID][]byte{}}
	return newWalker(saved), saved, dir
}

func (w *walker) save(t *testing.T, dir string) (repository.ID, error) {
	t.Helper()
	return w.run(t.Context(), make([]byte, 32), Source{Dir: dir, Name: "v"})
}

// TestLinksWithoutRoom saves files with several names, where there is room to remember none, some or all of them: only
// how often they are read differs.
func TestLinksWithoutRoom(t *testing.T) {
	t.Parallel()
	const one = linkCost + len(repository.ID{})
	for name, tt := range map[string]struct {
		room int
		read int64
	}{"none": {0, 15_000}, "one": {one, 11_000}, "almost two": {2*one - 1, 11_000}, "all": {3 * one, 7000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := map[string]string{"v/alone": strings.Repeat("0", 1000)}
			for i := range 3 {
				content[fmt.Sprint("v/a/", i)] = strings.Repeat(fmt.Sprint(i+1), 2000)
			}
			w, saved, parent := saving(t, content)
			dir := filepath.Join(parent, "v")
			for i := range 3 {
				first := fmt.Sprint("a/", i)
				for _, other := range []string{fmt.Sprint("b", i), fmt.Sprint("c", i)}[:1+i%2] {
					if err := os.Link(filepath.Join(dir, first), filepath.Join(dir, other)); err != nil {
						t.Fatal(err)
					}
					content["v/"+other] = content["v/"+first]
				}
			}
			w.links = newLinks(tt.room)
			root, err := w.save(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			saved.files(t, root, "", got)
			if diff := cmp.Diff(content, got); diff != "" {
				t.Errorf("(-want +got):\n%.2000s", diff)
			}
			if w.result.BytesRead != tt.read || w.result.Files != int64(len(content)) {
				t.Errorf("read %d bytes of %d files, want %d of %d", w.result.BytesRead, w.result.Files, tt.read, len(content))
			}
			if name == "all" && (w.links.room != tt.room || len(w.links.known) != 0) {
				t.Errorf("room for %d bytes is left of %d, and %d files", w.links.room, tt.room, len(w.links.known))
			}
		})
	}
}

// TestFileOfTooManyPieces saves other files beside ones with more pieces than can be named. For a hole that is known at
// once.
func TestFileOfTooManyPieces(t *testing.T) {
	t.Parallel()
	want := map[string]string{"v/before": "1", "v/fits": strings.Repeat("x", 3*maxPiece), "v/next": "2"}
	w, saved, dir := saving(t, want)
	dir = filepath.Join(dir, "v")
	large := make([]byte, 3*maxPiece) // cut into smaller pieces than the largest
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	sparse := filepath.Join(dir, "large and sparse")
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "large"), large, 0o600),
		os.WriteFile(sparse, nil, 0o600),
		os.Truncate(sparse, 3*maxPiece+1),
	)
	if err != nil {
		t.Fatal(err)
	}
	w.maxPieces = 3
	root, err := w.save(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	saved.files(t, root, "", got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	problems := []Problem{{Path: "large", Reason: errTooLarge.Error()}, {Path: "large and sparse", Reason: errTooLarge.Error()}}
	if diff := cmp.Diff(problems, w.problems.first); diff != "" || w.problems.count != 2 {
		t.Errorf("%d problems (-want +got):\n%s", w.problems.count, diff)
	}
	if len(w.slabs) != slabCount {
		t.Errorf("%d of %d slabs came back", len(w.slabs), slabCount)
	}
}

// TestFullTree saves a directory whose tree has no room for all entries: it saves what fits, and names the rest by
// path.
func TestFullTree(t *testing.T) {
	t.Parallel()
	files := map[string]string{"v/sub/long-" + strings.Repeat("n", 200): "x"}
	for i := range 3 {
		files[fmt.Sprint("v/sub/", i)] = "x"
	}
	w, saved, dir := saving(t, files)
	w.saver.limit = 1200
	root, err := w.save(t, filepath.Join(dir, "v"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	saved.files(t, root, "", got)
	if len(got) != 3 || w.problems.count != 1 || w.problems.first[0].Reason != treeblob.ErrFull.Error() ||
		!strings.HasSuffix(w.problems.first[0].Path, strings.Repeat("n", 100)) {
		t.Errorf("saved %v, problems %v", got, w.problems.first)
	}
}

// TestFailuresNameThePath: an entry that cannot be stored is named by its path within the volume.
func TestFailuresNameThePath(t *testing.T) {
	t.Parallel()
	for text, fails := range map[string]func(kind repository.BlobType, plain []byte) bool{
		`save a piece of "sub/dir/file": no`: func(kind repository.BlobType, _ []byte) bool { return kind == repository.DataBlob },
		`save directory "sub/dir": no`:       func(_ repository.BlobType, plain []byte) bool { return bytes.Contains(plain, []byte(`"file"`)) },
		`save directory "sub": no`: func(_ repository.BlobType, plain []byte) bool {
			return bytes.Contains(plain, []byte(`"name":"dir"`))
		},
		`save directory ".": no`: func(_ repository.BlobType, plain []byte) bool { return bytes.Contains(plain, []byte(`"name":"sub"`)) },
	} {
		w, saved, dir := saving(t, map[string]string{"v/sub/dir/file": "content"})
		saved.fail = func(kind repository.BlobType, plain []byte) error {
			if fails(kind, plain) {
				return errors.New("no")
			}
			return nil
		}
		if _, err := w.save(t, filepath.Join(dir, "v")); err == nil || err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
}

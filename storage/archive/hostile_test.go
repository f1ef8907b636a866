package archive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// forger writes what Backup never would, but somebody with the key could.
type forger struct {
	t      *testing.T
	bed    bed
	bucket storage.Bucket
	writer *repository.Writer
}

func newForger(t *testing.T) *forger {
	t.Helper()
	b, bucket := memoryBed(t)
	return &forger{t: t, bed: b, bucket: bucket, writer: must(b.repo.NewWriter(t.Context()))(t)}
}

func (f *forger) data(text string) repository.ID {
	f.t.Helper()
	return must(f.writer.SaveBlob(f.t.Context(), repository.DataBlob, []byte(text)))(f.t)
}

// tree writes nodes without any check of their names or order.
func (f *forger) tree(nodes ...treeblob.Node) *repository.ID {
	f.t.Helper()
	encoded := must(json.Marshal(map[string]any{"nodes": append([]treeblob.Node{}, nodes...)}))(f.t)
	id := must(f.writer.SaveBlob(f.t.Context(), repository.TreeBlob, encoded))(f.t)
	return &id
}

func (f *forger) file(name, text string) treeblob.Node {
	f.t.Helper()
	return treeblob.Node{Name: name, Type: treeblob.File, Mode: 0o644, Size: uint64(len(text)), Content: []repository.ID{f.data(text)}}
}

func dirNode(name string, tree *repository.ID) treeblob.Node {
	return treeblob.Node{Name: name, Type: treeblob.Dir, Mode: fs.ModeDir | 0o755, Subtree: tree}
}

// restore restores a volume with these entries.
func (f *forger) restore(target archive.Target, nodes ...treeblob.Node) (archive.Result, error) {
	f.t.Helper()
	root := f.tree(dirNode(claim, f.tree(nodes...)))
	if err := f.writer.Flush(); err != nil {
		f.t.Fatal(err)
	}
	target.Snapshot, target.Name = repository.Snapshot{Tree: root}, claim
	return archive.Restore(f.t.Context(), f.bed.repo, target, nil)
}

// outside makes a target, and beside it something that must not change.
func outside(t *testing.T) (target string, check func()) {
	t.Helper()
	parent := t.TempDir()
	b := builder{t: t, root: parent}
	b.dir("victim", 0o755)
	b.file("victim/file", []byte("precious"), 0o600)
	b.dir("target", 0o755)
	before := describe(t, b.path("victim"))
	return b.path("target"), func() {
		t.Helper()
		compare(t, before, describe(t, b.path("victim")))
		entries := must(os.ReadDir(parent))(t)
		if len(entries) != 2 {
			t.Errorf("beside the target there is now %v", entries)
		}
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"..", ".", "", "../victim/file", "a/b", "/etc/passwd", "nul\x00"} {
		target, check := outside(t)
		f := newForger(t)
		file := f.file(name, "evil")
		tree := f.tree(file).String() // the same bytes as the restored tree, so the same blob
		_, err := f.restore(archive.Target{Dir: target, Replace: true}, file)
		if !errors.Is(err, treeblob.ErrNodeName) || !strings.Contains(err.Error(), tree) {
			t.Errorf("name %q: %v, want ErrNodeName, and the tree %s", name, err, tree)
		}
		check()
	}
}

// TestLinksAreNotFollowed restores below and onto links that lead out of the target. The repository itself makes them, or they were there
// before.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	t.Run("in the repository, directory of the same name", func(t *testing.T) {
		target, check := outside(t)
		f := newForger(t)
		link := treeblob.Node{Name: "x", Type: treeblob.Symlink, Mode: fs.ModeSymlink | 0o777, LinkTarget: "../victim"}
		if _, err := f.restore(archive.Target{Dir: target}, link, dirNode("x", f.tree(f.file("file", "evil")))); err == nil {
			t.Error("two entries of one name were restored")
		}
		check()
	})
	t.Run("in the repository, hard links", func(t *testing.T) {
		target, check := outside(t)
		f := newForger(t)
		link := treeblob.Node{
			Name:               "a",
			Type:               treeblob.Symlink,
			Mode:               fs.ModeSymlink | 0o777,
			LinkTarget:         filepath.Join(filepath.Dir(target), "victim/file"),
			Links:              9,
			DeviceID:           1,
			Inode:              1,
			UID:                7,
			GID:                7,
			ExtendedAttributes: []treeblob.ExtendedAttribute{{Name: "trusted.x", Value: []byte("evil")}},
		}
		file := f.file("b", "evil")
		file.Links, file.DeviceID, file.Inode, file.UID = 9, 1, 1, 7
		fifo := treeblob.Node{Name: "c", Type: treeblob.Fifo, Mode: 0o4777, Links: 9, DeviceID: 1, Inode: 1, UID: 7}
		if _, err := f.restore(archive.Target{Dir: target}, link, file, fifo); err != nil {
			t.Error(err)
		}
		check()
		checkLinks(t, target, map[string]string{"b": "evil"}, nil)
		if info := must(os.Lstat(filepath.Join(target, "c")))(t); info.Mode().Type() != fs.ModeNamedPipe {
			t.Errorf("c is %s", info.Mode())
		}
	})
	for _, replace := range []bool{false, true} {
		for what, node := range map[string]func(*forger) treeblob.Node{
			"directory": func(f *forger) treeblob.Node { return dirNode("x", f.tree(f.file("file", "evil"))) },
			"file":      func(f *forger) treeblob.Node { return f.file("x", "evil") },
			"fifo": func(*forger) treeblob.Node {
				return treeblob.Node{Name: "x", Type: treeblob.Fifo, Mode: fs.ModeNamedPipe | 0o666, UID: 7, GID: 7}
			},
			"symlink": func(*forger) treeblob.Node {
				return treeblob.Node{Name: "x", Type: treeblob.Symlink, LinkTarget: "elsewhere", UID: 7, GID: 7}
			},
		} {
			for _, linked := range []string{"../victim", "../victim/file", "absolute"} {
				t.Run(fmt.Sprintf("in the target, %s over %s, replace %v", what, linked, replace), func(t *testing.T) {
					target, check := outside(t)
					if linked == "absolute" {
						linked = filepath.Join(filepath.Dir(target), "victim")
					}
					if err := os.Symlink(linked, filepath.Join(target, "x")); err != nil {
						t.Fatal(err)
					}
					f := newForger(t)
					_, err := f.restore(archive.Target{Dir: target, Replace: replace}, node(f))
					if replace && err != nil || !replace && !errors.Is(err, archive.ErrInTheWay) {
						t.Errorf("restore: %v", err)
					}
					check()
				})
			}
		}
	}
}

func TestReplaceRemovesWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	target, check := outside(t)
	b := builder{t: t, root: target}
	b.dir("x/full/of", 0o755)
	b.file("x/full/of/things", []byte("old"), 0o644)
	b.must(os.Symlink("../../victim", b.path("x/full/link")))
	b.file("dir", []byte("a file where a directory is to be"), 0o644)
	b.file("kept", []byte("kept"), 0o644)
	f := newForger(t)
	if _, err := f.restore(
		archive.Target{Dir: target, Replace: true},
		dirNode("dir", f.tree(f.file("y", "new y"))),
		f.file("x", "new x"),
	); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x": "new x", "dir/y": "new y", "kept": "kept"} {
		if got := must(os.ReadFile(b.path(name)))(t); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	check()
}

func TestSizesThatLie(t *testing.T) {
	t.Parallel()
	for _, size := range []uint64{0, 3, 5, 1 << 60} {
		f := newForger(t)
		node := f.file("x", "four")
		node.Size = size
		target, tree := t.TempDir(), f.tree(node).String() // the same bytes as the restored tree, so the same blob
		_, err := f.restore(archive.Target{Dir: target}, node)
		if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), tree) ||
			!strings.Contains(err.Error(), `"x"`) {
			t.Errorf("size %d: %v, want an error that names the file and the tree %s", size, err, tree)
		}
		if left := must(os.ReadDir(target))(t); len(left) > 0 {
			t.Errorf("size %d: left %v", size, left)
		}
	}
}

// TestHostileTrees restores trees that no volume has.
func TestHostileTrees(t *testing.T) {
	t.Parallel()
	t.Run("deeper than a volume can be", func(t *testing.T) {
		t.Parallel()
		f := newForger(t)
		tree := f.tree()
		for range 5000 {
			tree = f.tree(dirNode("d", tree))
		}
		_, err := f.restore(archive.Target{Dir: inMemory(t, big)}, dirNode("d", tree))
		if err == nil || !strings.Contains(err.Error(), "d/d/d") || !strings.Contains(err.Error(), "deeper than 4096") {
			t.Errorf("%.400v", err)
		}
	})
	t.Run("that would be endless", func(t *testing.T) {
		t.Parallel()
		f := newForger(t)
		tree := f.tree()
		for range 30 { // each holds the one before ten times
			var nodes []treeblob.Node
			for i := range 10 {
				nodes = append(nodes, dirNode(fmt.Sprint("d", i), tree))
			}
			tree = f.tree(nodes...)
		}
		target := inMemory(t, "nr_inodes=2000")
		if _, err := f.restore(archive.Target{Dir: target}, dirNode("bomb", tree)); !errors.Is(err, unix.ENOSPC) ||
			!strings.Contains(err.Error(), "bomb/d0") {
			t.Errorf("%v", err)
		}
	})
	for name, text := range map[string]string{
		"a negative size":       `{"nodes":[{"name":"x","type":"file","size":-1,"content":[]}]}`,
		"a size beyond numbers": `{"nodes":[{"name":"x","type":"file","size":1e30,"content":[]}]}`,
		"a negative owner":      `{"nodes":[{"name":"x","type":"file","uid":-1,"content":[]}]}`,
		"no list":               `{"nodes":"x"}`,
		"an unfinished list":    `{"nodes":[{"name":"x","type":"file","content":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, check := outside(t)
			f := newForger(t)
			id := must(f.writer.SaveBlob(t.Context(), repository.TreeBlob, []byte(text)))(t)
			if _, err := f.restore(archive.Target{Dir: target}, dirNode("dir", &id)); err == nil || !strings.Contains(err.Error(), id.String()) ||
				!strings.Contains(err.Error(), "dir") {
				t.Errorf("%v, want an error that names the tree and the directory", err)
			}
			check()
		})
	}
}

// TestHostileDevices restores something that claims to be a block device's content and lies about its size: nothing is made.
func TestHostileDevices(t *testing.T) {
	t.Parallel()
	for _, size := range []uint64{3, 1 << 50, 1 << 63} {
		f := newForger(t)
		node := f.file(claim, "four")
		node.Size = size
		root := f.tree(node)
		if err := f.writer.Flush(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "image")
		target := archive.Target{Snapshot: repository.Snapshot{Tree: root}, Name: claim, Dir: file}
		if _, err := archive.Restore(t.Context(), f.bed.repo, target, nil); err == nil || !strings.Contains(err.Error(), "damaged") ||
			!strings.Contains(
				err.Error(),
				claim,
			) || !strings.Contains(err.Error(), root.String()) || !strings.Contains(err.Error(), "repository snapshot") {
			t.Errorf("size %d: %v, want an error that names the claim and the tree %s", size, err, root)
		}
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("size %d: a file was made", size)
		}
	}
}

func TestBrokenTrees(t *testing.T) {
	t.Parallel()
	missing := repository.Hash([]byte("never stored"))
	tests := map[string]treeblob.Node{
		"a directory without a tree":     dirNode("x", nil),
		"a directory whose tree is gone": dirNode("x", &missing),
		"a file whose content is gone":   {Name: "x", Type: treeblob.File, Size: 1, Content: []repository.ID{missing}},
		"an entry of an unheard-of type": {Name: "x", Type: "wormhole"},
		"a link to a link that is itself": {
			Name:     "x",
			Type:     treeblob.File,
			Links:    2,
			DeviceID: 1,
			Inode:    1,
			Size:     1,
			Content:  []repository.ID{missing},
		},
	}
	for name, node := range tests {
		f := newForger(t)
		tree := f.tree(node).String()
		_, err := f.restore(archive.Target{Dir: t.TempDir()}, node)
		if err == nil || !strings.Contains(err.Error(), `"x"`) && !errors.Is(err, archive.ErrIncomplete) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
		if !errors.Is(err, archive.ErrIncomplete) && !strings.Contains(err.Error(), tree) && !strings.Contains(err.Error(), missing.String()) {
			t.Errorf("%s: %v, want an error that names the tree %s, or what is missing", name, err, tree)
		}
	}
}

// TestDamagedPacks flips a bit in each pack, or removes the pack: the restore fails with the pack's name, and never produces a file with
// wrong content.
func TestDamagedPacks(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.dir("sub", 0o755)
	b.file("sub/big", filler(30<<20, 1), 0o644)
	b.file("text", filler(100<<10, 2), 0o644)
	want := describe(t, source)
	bed, bucket := memoryBed(t)
	bed.backup(t, source)
	packs := 0
	err := bucket.List(t.Context(), "data/", func(info storage.Info) error {
		packs++
		whole := must(readObject(t.Context(), bucket, info.Name))(t)
		for what, damage := range map[string]func() error{
			"a flipped bit": func() error {
				damaged := append([]byte(nil), whole...)
				damaged[len(damaged)/2] ^= 1
				return bucket.Put(t.Context(), info.Name, damaged)
			},
			"a short pack": func() error { return bucket.Put(t.Context(), info.Name, whole[:len(whole)/2]) },
			"no pack":      func() error { return bucket.Delete(t.Context(), info.Name) },
		} {
			if err := damage(); err != nil {
				return err
			}
			reopened := must(repository.Open(t.Context(), bucket, password, repository.Options{}))(t)
			target := t.TempDir()
			_, err := archive.Restore(t.Context(), reopened, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
			if err == nil || !strings.Contains(err.Error(), info.Name) {
				t.Errorf("%s in %s: %v, want an error that names it", what, info.Name, err)
			}
			checkFinished(t, want, target)
		}
		return bucket.Put(t.Context(), info.Name, whole)
	})
	if err != nil {
		t.Fatal(err)
	}
	if packs < 4 {
		t.Errorf("only %d packs", packs)
	}
	bed.restore(t, t.TempDir())
}

// checkFinished makes sure that files which look finished (their mode is set last) have the right content.
func checkFinished(t *testing.T, want map[string]entry, target string) {
	t.Helper()
	for name, e := range describe(t, target) {
		if e.Mode.IsRegular() && e.Mode.Perm() == 0o644 && e.Sum != want[name].Sum {
			t.Errorf("%s has its final mode and wrong content", name)
		}
	}
}

func readObject(ctx context.Context, bucket storage.Bucket, name string) ([]byte, error) {
	body, err := bucket.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

package archive_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// linked makes a node another name of the given inode.
func linked(node treeblob.Node, inode, links uint64) treeblob.Node {
	node.DeviceID, node.Inode, node.Links = 1, inode, links
	node.ModTime = time.Unix(1_600_000_000, 0)
	return node
}

// symlinkNode is a symlink that is one of several names.
func symlinkNode(name, target string) treeblob.Node {
	return linked(treeblob.Node{Name: name, Type: treeblob.Symlink, Mode: fs.ModeSymlink | 0o777, LinkTarget: target}, 1, 9)
}

// checkLinks compares the contents of regular files, and which of them are links to which.
func checkLinks(t *testing.T, target string, content, sameAs map[string]string) {
	t.Helper()
	for name, want := range content {
		if got := must(os.ReadFile(filepath.Join(target, name)))(t); string(got) != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	for name, e := range describe(t, target) {
		if e.SameAs != sameAs[name] {
			t.Errorf("%s is a link to %q, want %q", name, e.SameAs, sameAs[name])
		}
	}
}

// TestReusedInodes restores what a backup of a live volume may hold: entries with one inode that are not one file,
// because the inode was given to another file between the visits to them.
func TestReusedInodes(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	target := t.TempDir()
	owned := linked(f.file("owned", "same"), 7, 9)
	owned.UID = 1234
	younger := linked(f.file("younger", "same"), 7, 9)
	younger.ModTime = younger.ModTime.Add(1)
	labelled := linked(f.file("zz labelled", "same"), 7, 9)
	labelled.ExtendedAttributes = []treeblob.ExtendedAttribute{{Name: "user.x", Value: []byte("y")}}
	_, err := f.restore(archive.Target{Dir: target},
		linked(f.file("a", "of a"), 12, 2), // whose other name was removed, and then itself
		linked(treeblob.Node{Name: "empty", Type: treeblob.File}, 12, 2),
		symlinkNode("l1", "here"), symlinkNode("l2", "there"), symlinkNode("l3", "there"),
		owned, linked(f.file("plain", "same"), 7, 9),
		linked(f.file("y1", "of y"), 12, 2), linked(f.file("y2", "of y"), 12, 2),
		younger, labelled, linked(f.file("zz last", "same"), 7, 9),
	)
	if err != nil {
		t.Fatal(err)
	}
	checkLinks(t, target,
		map[string]string{"a": "of a", "empty": "", "y1": "of y", "y2": "of y", "younger": "same", "zz last": "same"},
		map[string]string{"y1": "y1", "y2": "y1", "l2": "l2", "l3": "l2", "plain": "plain", "zz last": "plain"})
	for name, want := range map[string]string{"l1": "here", "l2": "there", "l3": "there"} {
		if got := must(os.Readlink(filepath.Join(target, name)))(t); got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Join(target, "owned"), &stat); err != nil || stat.Uid != 1234 {
		t.Errorf("owner %d, %v", stat.Uid, err)
	}
}

// TestLinksUnderAnotherLabel restores two names of a file. Each was saved under an SELinux label of its own, given by a
// mover's mount: the first name comes from the last backup, the second was read anew.
func TestLinksUnderAnotherLabel(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	target := t.TempDir()
	under := func(name, attribute, value string) treeblob.Node {
		node := linked(f.file(name, "text"), 12, 4)
		node.ExtendedAttributes = []treeblob.ExtendedAttribute{{Name: attribute, Value: []byte(value)}}
		return node
	}
	const (
		label = "security.selinux"
		one   = "system_u:object_r:container_file_t:s0:c1,c2\x00"
		other = "system_u:object_r:container_file_t:s0:c3,c4\x00"
		// File capabilities are no label.
		rights = "security.capability"
		none   = "\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		some   = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	)
	_, err := f.restore(
		archive.Target{Dir: target},
		under("a", label, one),
		under("b", label, other),
		under("c", rights, none),
		under("d", rights, some),
	)
	if err != nil {
		t.Fatal(err)
	}
	checkLinks(t, target, map[string]string{"a": "text", "b": "text"}, map[string]string{"a": "a", "b": "a"})
}

// TestLinkedFileThatIsWritten saves two names of a file, which is written to in between: each name is restored with the
// content that was saved under it.
func TestLinkedFileThatIsWritten(t *testing.T) {
	t.Parallel()
	source, target := t.TempDir(), t.TempDir()
	b := builder{t: t, root: source}
	b.file("a", []byte("before"), 0o644)
	b.must(os.Link(b.path("a"), b.path("z")))
	b.must(os.Link(b.path("a"), b.path("zz")))
	stamp(t, source)
	bed, _ := memoryBed(t)
	bed.backupWhile(t, source, &hook{when: func(p archive.Progress) bool { return p.Files == 1 }, do: func() {
		b.must(os.WriteFile(b.path("z"), []byte("behind"), 0o644))
	}})
	bed.restore(t, target)
	checkLinks(t, target, map[string]string{"a": "before", "z": "behind", "zz": "behind"}, map[string]string{"z": "z", "zz": "z"})
}

// TestLinkedFilesTakeLittleMemory restores files that are said to have other names somewhere. A restore does not keep
// in memory what the files were made of until it finds those names.
func TestLinkedFilesTakeLittleMemory(t *testing.T) {
	const files, pieces = 600, 1000 // of 32 bytes for each id, these take 19 MB
	f := newForger(t)
	zero := f.data("\x00")
	nodes := make([]treeblob.Node, files)
	for i := range nodes {
		nodes[i] = linked(treeblob.Node{
			Name: fmt.Sprintf("file%05d", i), Type: treeblob.File, Size: pieces, Content: slices.Repeat([]repository.ID{zero}, pieces),
		}, uint64(i+1), 2)
	}
	root := f.tree(dirNode(claim, f.tree(nodes...)))
	if err := f.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	probe := &memoryProbe{at: []int64{50, files - 100}} // the planner is a few files ahead, but at its end at neither
	target := archive.Target{Snapshot: repository.Snapshot{Tree: root}, Name: claim, Dir: inMemory(t, big)}
	if _, err := archive.Restore(t.Context(), f.bed.repo, target, probe); err != nil {
		t.Fatal(err)
	}
	if len(probe.live) != 2 || probe.live[1]-probe.live[0] > files*pieces*32/4 {
		t.Errorf("for %d of %d files: %d bytes are live", probe.at, files, probe.live)
	}
}

// memoryProbe measures the live memory when given numbers of files are done.
type memoryProbe struct {
	mu   sync.Mutex
	at   []int64
	live []int64
}

func (m *memoryProbe) Report(p archive.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.live) == len(m.at) || p.Files < m.at[len(m.live)] {
		return
	}
	runtime.GC()
	runtime.GC() // pooled memory goes only now
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.live = append(m.live, int64(stats.HeapAlloc))
}

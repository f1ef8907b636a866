package archive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// entry is everything that a restore has to bring back for one entry.
type entry struct {
	Mode    fs.FileMode
	Size    int64
	Sum     string
	ModTime time.Time
	UID     uint32
	GID     uint32
	Device  uint64
	Target  string
	Attrs   map[string]string
	SameAs  string // the first of its hard links, by name
}

// describe reads a tree. Two trees with equal descriptions are the same.
func describe(t *testing.T, root string) map[string]entry {
	t.Helper()
	found := map[string]entry{}
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name == "lost+found" {
			return fs.SkipDir
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*unixStat)
		if !ok {
			return fmt.Errorf("no stat of %s", path)
		}
		e := entry{Mode: info.Mode(), ModTime: info.ModTime(), UID: stat.Uid, GID: stat.Gid, Device: stat.Rdev}
		switch {
		case info.Mode().IsRegular():
			e.Size = info.Size()
			e.Sum = sum(t, path)
		case info.Mode()&fs.ModeSymlink != 0:
			if e.Target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		if !info.IsDir() && stat.Nlink > 1 {
			if _, ok := first[stat.Ino]; !ok {
				first[stat.Ino] = name
			}
			e.SameAs = first[stat.Ino]
		}
		e.Attrs = attributesOf(t, path)
		found[name] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func sum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func attributesOf(t *testing.T, path string) map[string]string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buf)
	if err != nil || n == 0 {
		return nil
	}
	found := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(value[:n])
	}
	return found
}

// filler returns bytes that do not compress (odd seed) or do (even seed), the same for the same seed.
func filler(size int, seed uint64) []byte {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	data := make([]byte, size)
	_, _ = random.Read(data)
	if seed%2 == 0 {
		for i := range data {
			data[i] = "the quick brown fox"[int(data[i])%19]
		}
	}
	return data
}

// big lets a file system in memory grow without limit.
const big = "size=0,nr_inodes=0"

// inMemory is an empty directory on a file system of its own, in memory, with the given mount options. Making files
// there takes a tenth of the time, and nobody else suffers when it is full.
func inMemory(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("stsbackup-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,"+options); err != nil {
		t.Fatalf("this test needs root's rights to mount a file system in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// builder makes trees and stops the test at the first failure.
type builder struct {
	t    *testing.T
	root string
}

func (b builder) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b builder) path(name string) string { return filepath.Join(b.root, name) }

func (b builder) dir(name string, mode fs.FileMode) {
	b.t.Helper()
	b.must(os.MkdirAll(b.path(name), 0o755))
	b.must(os.Chmod(b.path(name), mode))
}

func (b builder) file(name string, data []byte, mode fs.FileMode) {
	b.t.Helper()
	b.must(os.WriteFile(b.path(name), data, 0o600))
	b.must(os.Chmod(b.path(name), mode))
}

const (
	// netBind is the extended attribute of a file that has the capability cap_net_bind_service=ep.
	netBind = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	// acl is the extended attribute of an entry with the access control list u::rwx,u:33:r-x,g::r-x,m::rwx,o::r-x.
	acl = "\x02\x00\x00\x00" +
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x05\x00\x21\x00\x00\x00" + "\x04\x00\x05\x00\xff\xff\xff\xff" +
		"\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
)

// specimen makes one of everything that a volume can hold.
func specimen(t *testing.T, root string) {
	t.Helper()
	b := builder{t: t, root: root}
	b.dir(".", 0o2775|fs.ModeSetgid)
	b.dir("empty dir", 0o755)
	b.dir("data", 0o700)
	b.dir("data/deep/er/and/deeper", 0o751)
	b.dir("sticky", 0o777|fs.ModeSticky)
	b.dir("lost+found", 0o700)
	b.file("lost+found/#12345", []byte("of fsck"), 0o600)
	b.file("empty", nil, 0o644)
	b.file("small", []byte("hello\n"), 0o640)
	b.file("secret", []byte("hidden"), 0)
	b.file("setuid", []byte("#!/bin/sh\n"), 0o755|fs.ModeSetuid|fs.ModeSetgid)
	b.file("data/exactly-min", filler(512<<10, 1), 0o644)
	b.file("data/min-and-one", filler(512<<10+1, 3), 0o644)
	b.file("data/random", filler(21<<20+17, 5), 0o600)
	b.file("data/text", filler(9<<20, 6), 0o600)
	b.file("data/zeros", make([]byte, 17<<20), 0o600)
	b.file("data/same as random", filler(21<<20+17, 5), 0o600)
	b.file(strings.Repeat("n", 255), []byte("255"), 0o644)
	b.file("newline\nand \"quotes\" \\ <html> & tab\t", []byte("1"), 0o644)
	b.file("not utf-8 \xff\xfe", []byte("2"), 0o644)
	b.file("ünïcödé ☃ \u2028", []byte("3"), 0o644)
	b.dir("every byte", 0o755)
	for c := 1; c < 256; c++ {
		if c != '/' {
			b.file("every byte/x"+string([]byte{byte(c)}), []byte{byte(c)}, 0o644)
		}
	}
	b.must(os.Link(b.path("data/random"), b.path("data/deep/hard link")))
	b.must(os.Link(b.path("small"), b.path("data/link to small")))
	b.must(os.Link(b.path("empty"), b.path("zz link to empty")))
	b.must(os.Symlink("small", b.path("symlink")))
	b.must(os.Symlink("/absolute/../nowhere", b.path("dangling")))
	b.must(os.Symlink(strings.Repeat("x/", 100), b.path("long link")))
	b.must(unix.Mkfifo(b.path("fifo"), 0o640))
	b.must(unix.Mknod(b.path("chardev"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	b.must(unix.Mknod(b.path("blockdev"), unix.S_IFBLK|0o660, int(unix.Mkdev(7, 200))))
	b.must(unix.Setxattr(b.path("small"), "user.comment", []byte("a \x00 value"), 0))
	b.must(unix.Setxattr(b.path("data"), "user.dir", []byte("yes"), 0))
	b.file("capable", []byte("#!/bin/sh\n"), 0o755)
	b.must(unix.Setxattr(b.path("capable"), "security.capability", []byte(netBind), 0))
	b.must(unix.Setxattr(b.path("setuid"), "system.posix_acl_access", []byte(acl), 0))
	b.must(unix.Setxattr(b.path("data/deep"), "system.posix_acl_access", []byte(acl), 0))
	b.must(unix.Setxattr(b.path("data/deep"), "system.posix_acl_default", []byte(acl), 0))
	b.must(os.Lchown(b.path("small"), 1234, 5678))
	b.must(os.Lchown(b.path("symlink"), 99, 100))
	b.must(os.Lchown(b.path("data/deep"), 33, 33))
	b.sparse("data/sparse", 80<<20, map[int64]string{0: "start", 70<<20 + 5: "island"})
	stamp(t, root)
}

// socket puts a socket into a tree.
func socket(t *testing.T, path string) {
	t.Helper()
	// Its address has to be short, wherever the tree is.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}

// odd adds entries that restic, in the version of the tests, does not restore.
func odd(t *testing.T, root string) {
	t.Helper()
	b := builder{t: t, root: root}
	socket(t, b.path("socket"))
	b.must(os.Symlink("not \xff\xfe utf-8", b.path("symlink to bytes")))
	b.must(os.Link(b.path("symlink"), b.path("second symlink")))
	b.must(os.Link(b.path("fifo"), b.path("data/second fifo")))
	b.must(os.Link(b.path("socket"), b.path("second socket")))
	b.must(os.Chmod(b.path("socket"), 0o755|fs.ModeSetuid|fs.ModeSetgid))
	b.must(os.Chmod(b.path("chardev"), 0o666|fs.ModeSetgid))
	b.must(os.Chmod(b.path("fifo"), 0o711|fs.ModeSetuid|fs.ModeSticky))
	b.must(unix.Setxattr(b.path("empty"), "user.empty", nil, 0))
	b.must(unix.Setxattr(b.path("chardev"), "system.posix_acl_access", []byte(acl), 0))
	for _, name := range []string{"symlink", "fifo", "socket", "blockdev"} {
		b.must(unix.Lsetxattr(b.path(name), "trusted.of", []byte(name), 0))
	}
}

func (b builder) sparse(name string, size int64, islands map[int64]string) {
	b.t.Helper()
	f, err := os.Create(b.path(name))
	b.must(err)
	b.must(f.Truncate(size))
	for at, text := range islands {
		_, err := f.WriteAt([]byte(text), at)
		b.must(err)
	}
	b.must(f.Close())
}

// stamp gives every entry a time of its own, with nanoseconds, deepest first so that the times stay.
func stamp(t *testing.T, root string) {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(paths)))
	for i, path := range paths {
		ts := unix.Timespec{Sec: 1_500_000_000 + int64(i)*86_401, Nsec: int64(i)*7_654_321%1_000_000_000 + 1}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
}

// generate makes a random tree of about count entries.
func generate(t *testing.T, root string, count int, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	b := builder{t: t, root: root}
	dirs, files := []string{"."}, []string{}
	for i := range count {
		name := filepath.Join(dirs[random.IntN(len(dirs))], randomName(random, i))
		switch kind := random.IntN(100); {
		case kind < 12:
			b.must(os.Mkdir(b.path(name), 0o700|fs.FileMode(random.IntN(0o100))))
			dirs = append(dirs, name)
		case kind < 16:
			b.must(os.Symlink(string(filler(1+random.IntN(60), 2)), b.path(name)))
		case kind < 20 && len(files) > 0:
			b.must(os.Link(b.path(files[random.IntN(len(files))]), b.path(name)))
		default:
			size := random.IntN(200)
			switch random.IntN(200) {
			case 0:
				size = random.IntN(3 << 20)
			case 1, 2, 3:
				size = random.IntN(200 << 10)
			}
			b.file(name, filler(size, uint64(random.IntN(5000))), fs.FileMode(random.IntN(0o1000)))
			files = append(files, name)
		}
	}
	stamp(t, root)
}

func randomName(random *rand.Rand, i int) string {
	alphabet := []string{"a", "Z", "9", ".", "-", "_", " ", "é", "\xf0", "\n", "\"", "\\", "%", "<", "日"}
	var name bytes.Buffer
	for range 1 + random.IntN(12) {
		name.WriteString(alphabet[random.IntN(len(alphabet))])
	}
	fmt.Fprintf(&name, "%d", i)
	return name.String()
}

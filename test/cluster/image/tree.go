package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Tree is the contents of a layer, by path without a leading slash.
type Tree struct {
	entries map[string]entry
}

type entry struct {
	header tar.Header
	data   []byte
}

// NewTree returns an empty tree.
func NewTree() *Tree { return &Tree{entries: map[string]entry{}} }

// merged are the folders that are links into /usr on a Debian system; clean moves files that packages still ship in
// them.
func merged() []string { return []string{"bin", "sbin", "lib", "lib64"} }

// clean turns a path into its form as a key: relative, merged into usr.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, dir := range merged() {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return "usr/" + name
		}
	}
	return name
}

func (t *Tree) put(name string, header tar.Header, data []byte) {
	header.Name = name
	header.Size = int64(len(data))
	t.entries[name] = entry{header: header, data: data}
}

// Dir adds a folder, with the folders above it.
func (t *Tree) Dir(name string, mode int64) {
	name = clean(name)
	t.parents(name)
	t.put(name, tar.Header{Typeflag: tar.TypeDir, Mode: mode}, nil)
}

// File adds a file.
func (t *Tree) File(name string, mode int64, data []byte) {
	name = clean(name)
	t.parents(name)
	t.put(name, tar.Header{Typeflag: tar.TypeReg, Mode: mode}, data)
}

// Copy adds a file from the host.
func (t *Tree) Copy(name string, mode int64, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy into image: %w", err)
	}
	t.File(name, mode, data)
	return nil
}

// Link adds a symbolic link.
func (t *Tree) Link(name, target string) {
	name = clean(name)
	t.parents(name)
	t.put(name, tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: target}, nil)
}

// UserLinks adds the links of a merged system: /bin to usr/bin and so on.
func (t *Tree) UserLinks() {
	for _, dir := range merged() {
		t.Dir("usr/"+dir, 0o755)
		t.put(dir, tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "usr/" + dir}, nil)
	}
}

func (t *Tree) parents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, there := t.entries[dir]; !there {
			t.put(dir, tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}, nil)
		}
	}
}

// Has says whether a path is in the tree.
func (t *Tree) Has(name string) bool {
	_, there := t.entries[clean(name)]
	return there
}

// Read returns the contents of a file, nil if there is none.
func (t *Tree) Read(name string) []byte { return t.entries[clean(name)].data }

// Merge adds the entries of a tar, except those that drop says to leave out.
func (t *Tree) Merge(archive io.Reader, drop func(name string) bool) error {
	reader := tar.NewReader(archive)
	for {
		h, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := clean(h.Name)
		if name == "" || drop(name) {
			continue
		}
		header := tar.Header{Typeflag: h.Typeflag, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, Linkname: h.Linkname}
		switch h.Typeflag {
		case tar.TypeDir:
			// A folder keeps the mode that an earlier package gave it; a later package does not change it.
			if !t.Has(name) {
				t.parents(name)
				t.put(name, header, nil)
			}
		case tar.TypeReg:
			data, err := io.ReadAll(reader)
			if err != nil {
				return err
			}
			t.parents(name)
			t.put(name, header, data)
		case tar.TypeLink:
			header.Linkname = clean(h.Linkname)
			t.parents(name)
			t.put(name, header, nil)
		case tar.TypeSymlink:
			t.parents(name)
			t.put(name, header, nil)
		default:
			return fmt.Errorf("%s: entries of type %q are not expected in a package", h.Name, h.Typeflag)
		}
	}
}

// Without returns a tree of the entries that the other tree does not have in the same form.
func (t *Tree) Without(other *Tree) *Tree {
	rest := NewTree()
	for name, e := range t.entries {
		if o, there := other.entries[name]; !there || !same(e, o) {
			rest.entries[name] = e
		}
	}
	return rest
}

func same(a, b entry) bool {
	return a.header.Typeflag == b.header.Typeflag && a.header.Mode == b.header.Mode && a.header.Uid == b.header.Uid &&
		a.header.Gid == b.header.Gid && a.header.Linkname == b.header.Linkname && bytes.Equal(a.data, b.data)
}

// WriteTo writes the tree as a tar: in order of the paths, hard links after their targets, and without times.
func (t *Tree) WriteTo(to io.Writer) (int64, error) {
	counted := &counter{to: to}
	archive := tar.NewWriter(counted)
	write := func(links bool) error {
		for _, name := range slices.Sorted(maps.Keys(t.entries)) {
			e := t.entries[name]
			if (e.header.Typeflag == tar.TypeLink) != links {
				continue
			}
			header := e.header
			if header.Typeflag == tar.TypeDir {
				header.Name += "/"
			}
			header.Format = tar.FormatGNU
			if err := archive.WriteHeader(&header); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := archive.Write(e.data); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	for _, links := range []bool{false, true} {
		if err := write(links); err != nil {
			return counted.n, err
		}
	}
	return counted.n, archive.Close()
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

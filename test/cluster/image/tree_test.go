package image

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// archiveOf returns a tar with the given headers; regular files contain their own names.
func archiveOf(t *testing.T, headers ...tar.Header) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func keepAll(string) bool { return false }

// paths returns the entries of a tree in the order in which they are written.
func paths(t *testing.T, tree *Tree) []string {
	t.Helper()
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%s has a time: %s", h.Name, h.ModTime)
		}
		name := h.Name
		if h.Linkname != "" {
			name += " -> " + h.Linkname
		}
		names = append(names, name)
	}
}

func TestMergeMovesIntoUsr(t *testing.T) {
	tree := NewTree()
	tree.UserLinks()
	err := tree.Merge(archiveOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/sh", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "./usr/bin/awk", Typeflag: tar.TypeSymlink, Linkname: "mawk"},
		tar.Header{Name: "./bin/hard", Typeflag: tar.TypeLink, Linkname: "./bin/sh"},
		tar.Header{Name: "./usr/share/doc/x", Typeflag: tar.TypeReg, Mode: 0o644},
	), unneeded)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bin -> usr/bin", "lib -> usr/lib", "lib64 -> usr/lib64", "sbin -> usr/sbin",
		"usr/", "usr/bin/", "usr/bin/awk -> mawk", "usr/bin/sh", "usr/lib/", "usr/lib64/", "usr/sbin/",
		"usr/bin/hard -> usr/bin/sh", // after what it links to
	}
	if diff := cmp.Diff(want, paths(t, tree)); diff != "" {
		t.Error(diff)
	}
}

func TestMergeRefusesDevices(t *testing.T) {
	err := NewTree().Merge(archiveOf(t, tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}), keepAll)
	if err == nil {
		t.Error("a device is taken from a package")
	}
}

func TestWithout(t *testing.T) {
	base, whole := NewTree(), NewTree()
	for _, tree := range []*Tree{base, whole} {
		tree.File("etc/same", 0o644, []byte("same"))
		tree.File("etc/mode", 0o644, nil)
		tree.File("etc/text", 0o644, []byte("base"))
	}
	whole.File("etc/mode", 0o755, nil)
	whole.File("etc/text", 0o644, []byte("changed"))
	whole.File("etc/new", 0o644, nil)
	if diff := cmp.Diff([]string{"etc/mode", "etc/new", "etc/text"}, paths(t, whole.Without(base))); diff != "" {
		t.Error(diff)
	}
}

// TestImagesAreDeterministic builds the same image twice, the second time with its files added in another order.
func TestImagesAreDeterministic(t *testing.T) {
	dir := t.TempDir()
	build := func(file string, names ...string) []byte {
		tree := NewTree()
		for _, name := range names {
			tree.File(name, 0o644, []byte(name))
		}
		layer, err := Layer(tree)
		if err != nil {
			t.Fatal(err)
		}
		one, err := Build(v1.Config{Cmd: []string{"a"}}, "amd64", layer)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		if err := Archive(path, map[string]v1.Image{"test:1": one}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := build("first.tar", "a/b", "c")
	if !bytes.Equal(first, build("second.tar", "c", "a/b")) {
		t.Error("the same contents give two archives")
	}
	if bytes.Equal(first, build("third.tar", "c")) {
		t.Error("different contents give one archive")
	}
}

func TestArchives(t *testing.T) {
	plan := `Reading package lists...
Inst gcc-12-base (12.2.0-14+deb12u1 Debian:12.11/stable [amd64])
Inst login (1:4.13+dfsg1-1+deb12u1 Debian:12.11/stable, Debian-Security:12/stable-security [amd64])
Inst base-files [12.4] (12.4+deb12u11 Debian:12.11/stable [amd64]) []
Inst tzdata (2025b-0+deb12u1 Debian:12.11/stable [all])
Conf tzdata (2025b-0+deb12u1 Debian:12.11/stable [all])
`
	want := []string{
		"gcc-12-base_12.2.0-14+deb12u1_amd64.deb",
		"login_1%3a4.13+dfsg1-1+deb12u1_amd64.deb",
		"base-files_12.4+deb12u11_amd64.deb",
		"tzdata_2025b-0+deb12u1_all.deb",
	}
	if diff := cmp.Diff(want, archives(plan)); diff != "" {
		t.Error(diff)
	}
}

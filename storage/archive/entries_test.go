package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestReadEntries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := []entry{{name: "directory"}, {name: "fifo"}, {name: "link"}}
	for i := range 3000 { // more than one call returns
		name := fmt.Sprintf("%04d-%s", i, strings.Repeat("x", i%250))
		want = append(want, entry{name: name, file: true})
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Mkdir(filepath.Join(dir, "directory"), 0o700), os.Symlink("0000-", filepath.Join(dir, "link")),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(fd)
	for range 2 { // reading has not moved the descriptor
		got, err := readEntries(fd)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// dirent is an entry as the system returns it.
func dirent(kind byte, name string, length int) []byte {
	buf := binary.NativeEndian.AppendUint16(make([]byte, direntLength), uint16(length))
	return append(append(append(buf, kind), name...), make([]byte, max(length-direntName-len(name), 0))...)
}

func TestParseEntries(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		buf  []byte
		want []entry
		err  error
	}{
		"nothing": {nil, nil, nil},
		"without dots": {
			slices.Concat(dirent(unix.DT_DIR, ".", 24), dirent(unix.DT_DIR, "..", 24), dirent(unix.DT_REG, "...", 24)),
			[]entry{{"...", true}}, nil,
		},
		"of unknown kind":  {dirent(unix.DT_UNKNOWN, "a", 24), []entry{{"a", false}}, nil},
		"cut off":          {dirent(unix.DT_REG, "a", 24)[:10], nil, errDirent},
		"longer than that": {dirent(unix.DT_REG, "a", 24)[:22], nil, errDirent},
		"without a name":   {dirent(unix.DT_REG, "", direntName), nil, errDirent},
		"without end":      {dirent(unix.DT_REG, "a", 0), nil, errDirent},
	} {
		got, err := parseEntries(nil, bytes.Clone(tt.buf))
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(entry{})); diff != "" || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestEntriesTwice reads a directory that changes between two calls, or whose server lost its place: names come twice,
// and a tree gets each of them once.
func TestEntriesTwice(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		calls [][]byte
		want  []entry
	}{
		"in two calls": {[][]byte{
			slices.Concat(dirent(unix.DT_REG, "b", 24), dirent(unix.DT_REG, "a", 24)),
			slices.Concat(dirent(unix.DT_REG, "c", 24), dirent(unix.DT_REG, "b", 24), dirent(unix.DT_REG, "b", 24)),
		}, []entry{{"a", true}, {"b", true}, {"c", true}}},
		"a file that became a directory": {
			[][]byte{dirent(unix.DT_REG, "a", 24), dirent(unix.DT_DIR, "a", 24)}, []entry{{"a", false}},
		},
		"a directory that became a file": {
			[][]byte{dirent(unix.DT_DIR, "a", 24), dirent(unix.DT_REG, "a", 24)}, []entry{{"a", false}},
		},
		"next to a longer name": {
			[][]byte{dirent(unix.DT_REG, "aa", 24), dirent(unix.DT_DIR, "a", 24), dirent(unix.DT_REG, "aa", 24)},
			[]entry{{"a", false}, {"aa", true}},
		},
	} {
		got, err := listEntries(func(buf []byte) (int, error) {
			if len(tt.calls) == 0 {
				return 0, nil
			}
			n := copy(buf, tt.calls[0])
			tt.calls = tt.calls[1:]
			return n, nil
		})
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(entry{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// entry is one entry of a directory.
type entry struct {
	name string
	// file says that the directory lists the entry as a regular file. Not every file system's directories know.
	file bool
}

// entriesRead is how many bytes of a directory one call asks for.
const entriesRead = 32 << 10

// Offsets of the fields in a struct linux_dirent64.
const (
	direntLength = 16 // of the whole entry, two bytes
	direntType   = 18
	direntName   = 19 // and behind it at least one zero
)

// errDirent says that the system returned something that is no list of entries.
var errDirent = errors.New("the system returned a damaged list of entries")

// readEntries lists a directory without "." and "..", in the order of names. Package os needs several times the memory
// to keep what the directory knows about an entry.
func readEntries(dir int) ([]entry, error) {
	// It uses a descriptor of its own, because reading moves the descriptor's position.
	fd, err := openDirAt(dir, ".")
	if err != nil {
		return nil, err
	}
	defer closeFD(fd)
	return listEntries(func(buf []byte) (n int, err error) {
		err = retry(func() error {
			n, err = unix.Getdents(fd, buf)
			return err
		})
		return n, err
	})
}

// listEntries reads a directory with a call that fills a buffer as getdents64 does.
func listEntries(read func(buf []byte) (int, error)) ([]entry, error) {
	var (
		entries []entry
		buf     = make([]byte, entriesRead)
	)
	for {
		n, err := read(buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return inOrder(entries), nil
		}
		if entries, err = parseEntries(entries, buf[:n]); err != nil {
			return nil, err
		}
	}
}

// inOrder sorts entries by name, and keeps one of each name. A list that was read in several calls can have a name
// twice, if the directory changes in between or is on a server. An entry counts as a file only if every copy says so;
// then nobody looks at it before opening it.
func inOrder(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int {
		if order := strings.Compare(a.name, b.name); order != 0 || a.file == b.file {
			return order
		}
		if b.file {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.name == b.name })
}

// readNames lists only the names in a directory.
func readNames(dir int) ([]string, error) {
	entries, err := readEntries(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.name)
	}
	return names, nil
}

// parseEntries appends the entries in a buffer that getdents64 has filled.
func parseEntries(entries []entry, buf []byte) ([]entry, error) {
	for len(buf) > 0 {
		if len(buf) < direntName {
			return nil, errDirent
		}
		length := int(binary.NativeEndian.Uint16(buf[direntLength:]))
		if length <= direntName || length > len(buf) {
			return nil, errDirent
		}
		name, _, _ := bytes.Cut(buf[direntName:length], []byte{0})
		if string(name) != "." && string(name) != ".." {
			entries = append(entries, entry{name: string(name), file: buf[direntType] == unix.DT_REG})
		}
		buf = buf[length:]
	}
	return entries, nil
}

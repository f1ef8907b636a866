package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	// PageSize is the size of a database's pages, in bytes.
	PageSize = 8 << 10
	// pageHeader is the size of a page's header: its number, its version and where its free space is.
	pageHeader = 24
	// pageFull is how much of a page is rows; the rest is free space, which is zeros.
	pageFull = PageSize * 9 / 10
	// rowSize is the size of a row, and valueSize its incompressible part.
	rowSize     = 896
	valueSize   = 400
	rowsPerPage = (pageFull - pageHeader) / rowSize
	// documentKinds is how many kinds of documents there are. Each kind has its own field names, and three fields of
	// fieldSize bytes that differ between documents.
	documentKinds = 16
	fieldNames    = 48
	fieldSize     = 24
	// wordCount is how many words the text columns use.
	wordCount = 4096
)

// writer fills pages and small files. It keeps what they all have in common.
type writer struct {
	words     [][]byte
	documents [documentKinds][3][]byte // the text before the fields that differ
}

func newWriter() *writer {
	from := rand.New(source(kindWords, 0, 0))
	w := &writer{words: make([][]byte, wordCount)}
	for i := range w.words {
		word := make([]byte, 3+from.IntN(8), 12)
		for j := range word {
			word[j] = byte('a' + min(from.IntN(26), from.IntN(26))) // some letters are more frequent than others
		}
		w.words[i] = append(word, ' ')
	}
	for kind := range w.documents {
		for i := range w.documents[kind] {
			names := make([]byte, fieldNames)
			names = names[:w.text(names, from)-1] // without the last space
			w.documents[kind][i] = append(append([]byte(`","`), bytes.ReplaceAll(names, []byte(" "), []byte(`":null,"`))...), `":"`...)
		}
	}
	return w
}

// page fills a page with rows that compress about 2:1: a growing key, a few small numbers, an incompressible value
// (such as an image, or something encrypted), and a JSON document.
func (w *writer) page(page []byte, number, version uint64) {
	clear(page)
	from := rand.New(source(kindPage, number, version))
	binary.LittleEndian.PutUint64(page[0:], number)
	binary.LittleEndian.PutUint64(page[8:], version)
	at := pageHeader
	for row := uint64(0); at+rowSize <= pageFull; row++ {
		end := at + rowSize
		binary.LittleEndian.PutUint64(page[at:], number*rowsPerPage+row)
		binary.LittleEndian.PutUint32(page[at+8:], uint32(from.IntN(10_000)))
		binary.LittleEndian.PutUint32(page[at+12:], uint32(from.IntN(100)))
		at += 16
		for range valueSize / 8 {
			binary.LittleEndian.PutUint64(page[at:], from.Uint64())
			at += 8
		}
		for _, names := range w.documents[from.IntN(documentKinds)] {
			at += copy(page[at:end-fieldSize], names)
			at += w.text(page[at:at+fieldSize], from)
		}
		copy(page[at:end], `"}`)
		at = end
	}
	binary.LittleEndian.PutUint64(page[16:], uint64(at))
}

// text fills buf with whole words, as far as they fit, and returns how many bytes it used.
func (w *writer) text(buf []byte, from *rand.Rand) (used int) {
	for {
		// Of two words take the more frequent one: text is not uniform.
		word := w.words[min(from.IntN(wordCount), from.IntN(wordCount))]
		if used+len(word) > len(buf) {
			return used
		}
		used += copy(buf[used:], word)
	}
}

// Pages fills a directory with files of database pages. All of them are of version 0.
func Pages(dir string, files int, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a data set: %w", err)
	}
	w := newWriter()
	for i := range files {
		first := uint64(i) * uint64(size/PageSize)
		if err := fill(
			segment(dir, i),
			&pages{writer: w, next: first, end: first + uint64(size/PageSize)},
			make([]byte, bufferSize),
		); err != nil {
			return err
		}
	}
	return nil
}

func segment(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("segment-%d", i)) }

// ChangePages changes data that Pages has made: it gives one page in a hundred, here and there, a new version, in
// place.
func ChangePages(dir string, files int, size int64, version uint64) error {
	var (
		w      = newWriter()
		choice = rand.New(source(kindPage, 0, ^version))
		page   = make([]byte, PageSize)
	)
	for i := range files {
		file, err := os.OpenFile(segment(dir, i), os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("change a data set: %w", err)
		}
		defer file.Close()
		count := uint64(size / PageSize)
		for range max(count/100, 1) {
			number := choice.Uint64N(count)
			w.page(page, uint64(i)*count+number, version)
			if _, err := file.WriteAt(page, int64(number)*PageSize); err != nil {
				return fmt.Errorf("change a data set: %w", err)
			}
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("change a data set: %w", err)
		}
	}
	return nil
}

package dataset

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// smallLargest is the size of the largest small file, in bytes; the average is half of it.
const smallLargest = 4 << 10

// Small fills a directory with directories of small text files, no two of which are alike.
func Small(dir string, dirs, filesEach int) error {
	var (
		w   = newWriter()
		buf = make([]byte, smallLargest)
	)
	for i := range dirs {
		sub := filepath.Join(dir, fmt.Sprintf("directory-%04d", i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return fmt.Errorf("make a data set: %w", err)
		}
		for j := range filesEach {
			from := rand.New(source(kindSmall, uint64(i), uint64(j)))
			content := buf[:from.IntN(smallLargest)]
			content = content[:w.text(content, from)]
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file-%05d.txt", j)), content, 0o644); err != nil {
				return fmt.Errorf("make a data set: %w", err)
			}
		}
	}
	return nil
}

// pages reads as a run of pages of version 0.
type pages struct {
	*writer
	next, end uint64
}

// Read implements io.Reader for buffers of whole pages.
func (p *pages) Read(buf []byte) (n int, err error) {
	if len(buf) < PageSize {
		return 0, io.ErrShortBuffer
	}
	for ; p.next < p.end && n+PageSize <= len(buf); p.next++ {
		p.page(buf[n:n+PageSize], p.next, 0)
		n += PageSize
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

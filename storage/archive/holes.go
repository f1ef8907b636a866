package archive

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	// minHole is the shortest hole, in bytes, that is not read: shorter ones become part of the pieces around them.
	minHole = minPiece
	// resticHole is the length in bytes of the piece of zeros by which "restic restore --sparse" knows that a file has
	// holes: the smallest piece that restic itself cuts. In a file with one such piece, restic writes no piece's
	// leading zeros.
	resticHole = 512 << 10
	// zeroLengths bounds how many lengths of zeros are remembered. The lengths of holes are multiples of a block,
	// mostly that of the largest piece.
	zeroLengths = 1024
)

// extent is a stretch of a file: data, or a hole, which is known to be all zeros without reading it.
type extent struct {
	end  int64
	hole bool
}

// nextExtent finds out what begins at an offset of a file of the given size. Whatever the file system cannot tell
// counts as data.
func nextExtent(fd int, offset, size int64) extent {
	data := seek(fd, offset, unix.SEEK_DATA, size)
	if data-offset >= minHole {
		return extent{end: data, hole: true}
	}
	for at := max(data, offset); at < size; {
		hole := seek(fd, at, unix.SEEK_HOLE, size)
		if hole <= at || hole >= size {
			break
		}
		if at = seek(fd, hole, unix.SEEK_DATA, size); at-hole >= minHole {
			return extent{end: hole}
		}
		if at < hole {
			break
		}
	}
	return extent{end: size}
}

// seek finds the next data, or the next hole, from an offset on. The result is at most size, where an endless hole
// ends. It is -1 if the file system cannot tell, or if the file has become so short that there is neither.
func seek(fd int, offset int64, whence int, size int64) int64 {
	at, err := unix.Seek(fd, offset, whence)
	switch {
	case err == nil:
		return min(at, size)
	case errors.Is(err, unix.ENXIO) && whence == unix.SEEK_DATA:
		if stat, err := fstat(fd); err == nil && stat.Size >= size {
			return size
		}
	}
	return -1
}

// zeros remembers the ids of pieces of zeros by their length, so that nobody has to hash such a piece again.
type zeros struct {
	mu  sync.Mutex
	ids map[int]repository.ID
}

func (z *zeros) get(length int) (id repository.ID, ok bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	id, ok = z.ids[length]
	return id, ok
}

func (z *zeros) put(length int, id repository.ID) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.ids == nil {
		z.ids = map[int]repository.ID{}
	}
	if len(z.ids) < zeroLengths {
		z.ids[length] = id
	}
}

// hole saves zeros without reading them, and returns how many.
func (w *walker) hole(length int64, file *pendingFile) (done int64, err error) {
	for done < length {
		if w.ctx.Err() != nil {
			return done, w.ctx.Err()
		}
		n := int(min(length-done, maxPiece))
		if !file.sparse && length-done >= resticHole {
			n, file.sparse = resticHole, true
		}
		if id, ok := w.zeros.get(n); ok {
			file.content.set(file.pieces, id)
			file.pieces++
		} else if err := w.firstZeros(n, file); err != nil {
			return done, err
		}
		done += int64(n)
	}
	return done, nil
}

// firstZeros saves a piece of zeros whose length has no known id yet.
func (w *walker) firstZeros(length int, file *pendingFile) error {
	if err := w.releaseSmall(); err != nil {
		return err
	}
	s, err := takeSlab(w.ctx, w.slabs)
	if err != nil {
		return err
	}
	defer s.release()
	clear(s.buf[:length])
	return w.send(s, job{file: file, piece: s.buf[:length]})
}

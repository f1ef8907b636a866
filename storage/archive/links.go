package archive

import (
	"math"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	// linksMemory bounds the memory, in bytes, for files with several names until all their names have been seen:
	// enough for about 160,000 files of one piece each.
	linksMemory = 32 << 20
	// linkCost is about how many bytes one such file takes, besides the ids of its pieces.
	linkCost = 176
)

// inode identifies a file that may have several names.
type inode struct{ device, number uint64 }

// linkedFile is a file with several names. The walker reads it under the first of them.
type linkedFile struct {
	content *content
	size    int64
	time    unix.Timespec
	left    uint32 // names that have not been seen
	cost    uint32
}

// links are the files with several names of which not all have been seen, as many as there is room for. The walker
// reads other such files again under each of their names, which yields the same pieces.
type links struct {
	known map[inode]linkedFile
	room  int // in bytes
}

func newLinks(room int) links { return links{known: map[inode]linkedFile{}, room: room} }

// find returns the content of a file that was saved under another name; nil if there is none, or if the file has
// changed since.
func (l *links) find(stat *unix.Stat_t) *content {
	key := inode{uint64(stat.Dev), stat.Ino} //nolint:unconvert // of another width on other architectures
	file, ok := l.known[key]
	if !ok {
		return nil
	}
	if file.left--; file.left == 0 {
		delete(l.known, key)
		l.room += int(file.cost)
	} else {
		l.known[key] = file
	}
	if file.size != stat.Size || file.time != stat.Mtim {
		return nil
	}
	return file.content
}

// add notes a file that was saved under one of its names. pieces is how many pieces it has.
func (l *links) add(stat *unix.Stat_t, content *content, pieces int) {
	if stat.Nlink < 2 {
		return
	}
	key := inode{uint64(stat.Dev), stat.Ino} //nolint:unconvert // as above
	cost := linkCost + pieces*len(repository.ID{})
	if _, ok := l.known[key]; ok || cost > l.room {
		return
	}
	l.room -= cost
	left := min(uint64(stat.Nlink)-1, math.MaxUint32) //nolint:unconvert // as above
	l.known[key] = linkedFile{content: content, size: stat.Size, time: stat.Mtim, left: uint32(left), cost: uint32(cost)}
}

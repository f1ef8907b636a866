package archive

import (
	"math"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository"
)

const (
	// linksMemory is what files with several names may take in memory until all their names have been seen, in bytes:
	// about 160,000 files of one piece each.
	linksMemory = 32 << 20
	// linkCost is about what one of them takes, besides the ids of its pieces, in bytes.
	linkCost = 176
)

// inode is what several names may have in common.
type inode struct{ device, number uint64 }

// linkedFile is a file with several names. It is read under the first of them.
type linkedFile struct {
	content *content
	size    int64
	time    unix.Timespec
	left    uint32 // names that have not been seen
	cost    uint32
}

// links are the files with several names of which not all have been seen, as many as there is room for. What is not among
// them is read again under each of its names, which comes to the same pieces.
type links struct {
	known map[inode]linkedFile
	room  int // in bytes
}

func newLinks(room int) links { return links{known: map[inode]linkedFile{}, room: room} }

// find returns the content of a file that has been saved under another name; nil if there is none, or if it has changed
// since.
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

// add notes a file of so many pieces that has been saved under one of its names.
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

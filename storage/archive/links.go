package archive

import "golang.org/x/sys/unix"

// inode is what several names may have in common.
type inode struct{ device, number uint64 }

// linkedFile is a file with several names. It is read under the first of them.
type linkedFile struct {
	file *pendingFile
	size int64
	time unix.Timespec
	left uint64 // names that have not been seen
}

// links are the files with several names of which not all have been seen.
type links map[inode]*linkedFile

// find returns the file that another name has been saved of; nil if there is none, or if it has changed since.
func (l links) find(stat *unix.Stat_t) *pendingFile {
	key := inode{uint64(stat.Dev), stat.Ino} //nolint:unconvert // of another width on other architectures
	known := l[key]
	if known == nil {
		return nil
	}
	if known.left--; known.left == 0 {
		delete(l, key)
	}
	if known.size != stat.Size || known.time != stat.Mtim {
		return nil
	}
	return known.file
}

// add notes a file that has been saved under one of its names.
func (l links) add(stat *unix.Stat_t, file *pendingFile) {
	if stat.Nlink < 2 {
		return
	}
	key := inode{uint64(stat.Dev), stat.Ino} //nolint:unconvert // as above
	if l[key] == nil {
		left := uint64(stat.Nlink) - 1 //nolint:unconvert // as above
		l[key] = &linkedFile{file: file, size: stat.Size, time: stat.Mtim, left: left}
	}
}

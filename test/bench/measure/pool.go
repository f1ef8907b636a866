package measure

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// poolKept is how much of each piece of a pool stays in use, and poolPiece the size of a piece, both in bytes. The
	// guest offers its host only free pieces of at least 128 KiB; pages that are neighbours in a file need not be so in
	// memory.
	poolKept  = 4 << 10
	poolPiece = 64 << 10
	// poolSlow says when the pool is made anew: if using its memory takes this many times as long as at best. Memory
	// that the host must supply first takes four to seven times as long.
	poolSlow = 2
)

// Pool is free memory that the host of a virtual machine does not take back. Hosts take back free memory, and whoever
// needs it next waits until it has come again; that would be a matter of luck, and of whose turn was before. The guest
// offers its host only large pieces. So a pool is a file in memory of which nearly everything is given back, except one
// page in each small piece. All programs can use the memory between these pages. The kernel prefers it to larger
// pieces, and once a program frees it, it is a part of the pool as before.
type Pool struct {
	dir     string
	size    int64
	file    *os.File // nil: the directory is not in memory, and the pool is empty
	fastest time.Duration
}

// NewPool makes a pool of this many bytes in the filesystem of a directory; an empty pool if that is not in memory. The
// caller calls Close.
func NewPool(dir string, size int64) (*Pool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("make a pool of memory: %w", err)
	}
	p := &Pool{dir: dir, size: size}
	if fs.Type != unix.TMPFS_MAGIC {
		return p, nil
	}
	return p, p.fill()
}

// Check uses the memory of the pool once, and makes the pool anew if that took long: others may have taken a part of it
// for good. It reports whether it did so.
func (p *Pool) Check() (anew bool, err error) {
	if p.file == nil {
		return false, nil
	}
	before, err := cpuTime()
	if err != nil {
		return false, err
	}
	file, err := scratch(p.dir, p.size*3/4)
	if err != nil {
		return false, err
	}
	after, err := cpuTime()
	if err := errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	took := after - before
	if p.fastest == 0 || took < p.fastest {
		p.fastest = took
	}
	if took <= poolSlow*p.fastest {
		return false, nil
	}
	return true, errors.Join(p.Close(), p.fill())
}

// Close gives the memory back.
func (p *Pool) Close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

func (p *Pool) fill() (err error) {
	if p.file, err = scratch(p.dir, p.size); err != nil {
		return err
	}
	for at := int64(0); at+poolPiece <= p.size; at += poolPiece {
		if err := unix.Fallocate(
			int(p.file.Fd()),
			unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE,
			at+poolKept,
			poolPiece-poolKept,
		); err != nil {
			return errors.Join(fmt.Errorf("make a pool of memory: %w", err), p.Close())
		}
	}
	return nil
}

// scratch makes a file of this many bytes that has no name: it vanishes when it is closed, or when the program ends.
func scratch(dir string, size int64) (*os.File, error) {
	file, err := os.CreateTemp(dir, "memory-")
	if err != nil {
		return nil, fmt.Errorf("use memory: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("use memory: %w", err), file.Close())
	}
	block := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(block)) {
		if _, err := file.Write(block[:min(left, int64(len(block)))]); err != nil {
			return nil, errors.Join(fmt.Errorf("use memory: %w", err), file.Close())
		}
	}
	return file, nil
}

// cpuTime is the CPU time that this program has used so far: unlike wall time, it depends little on what else runs.
func cpuTime() (time.Duration, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("use memory: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}

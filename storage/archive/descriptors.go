package archive

import (
	"sync"

	"golang.org/x/sys/unix"
)

// openLimits are how many files and directories a restore keeps open.
type openLimits struct {
	// dirs is how many directories the planner makes before it requests the content that they wait for. Each fetcher
	// may hold up the directories of another batch.
	dirs int
	// crowd is the number of open descriptors, of files and directories, from which on files are open only while they
	// are written to.
	crowd int
}

// limitsFor divides the descriptors that a process may have open. Half stays free for directories that lie within each
// other, and for what others open. The program needs no more than some thousand; more would only take memory in the
// kernel.
func limitsFor(descriptors uint64) openLimits {
	const (
		reserve = 64 // of the bucket, the index and the program
		least   = 8
	)
	room := int(min(max(descriptors, reserve), 1<<16)) - reserve
	return openLimits{
		dirs:  min(max(room/(4*(fetchers+1)), least), batchDirs),
		crowd: min(max(room/2, least), 2*batchDirs),
	}
}

// findLimits asks the system for the limits.
func findLimits() openLimits {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return limitsFor(0)
	}
	return limitsFor(limit.Cur)
}

// descriptors are those that a restore passes from one goroutine to another. It tracks them so that none stays open
// when the restore fails.
type descriptors struct {
	limits openLimits

	mu  sync.Mutex
	set map[int]struct{}
}

// keep registers the descriptor that an open call returns, and passes the call's results on.
func (d *descriptors) keep(fd int, err error) (int, error) {
	if err != nil {
		return -1, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil {
		d.set = map[int]struct{}{}
	}
	d.set[fd] = struct{}{}
	return fd, nil
}

// crowded reports whether so many descriptors are open that files should not stay open.
func (d *descriptors) crowded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.set) > d.limits.crowd
}

func (d *descriptors) close(fd int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.set, fd)
	return unix.Close(fd)
}

func (d *descriptors) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for fd := range d.set {
		closeFD(fd)
	}
	d.set = nil
}

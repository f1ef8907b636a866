package archive

import (
	"sync"

	"golang.org/x/sys/unix"
)

// descriptors are those that a restore has open from one goroutine to another, so that none is left when it fails.
type descriptors struct {
	mu  sync.Mutex
	set map[int]struct{}
}

// keep takes over what a call that opens returns, and passes it on.
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

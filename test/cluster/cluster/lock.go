package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lock is the exclusive right to change a cluster. When its holder ends, however that happens, the kernel releases it.
type lock struct{ file *os.File }

// acquire takes the lock, and waits for the process that has it. With interrupt, it asks that process to stop.
func (h Harness) acquire(ctx context.Context, interrupt bool) (*lock, error) {
	if err := os.MkdirAll(h.Spec.Dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(h.Spec.Lock(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", h.Spec.Lock(), err)
		}
		if !said {
			said = true
			h.waiting(interrupt)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("waiting for the lock %s: %w", h.Spec.Lock(), ctx.Err())
		case <-tick.C:
		}
	}
	if err := file.Truncate(0); err != nil {
		_ = file.Close()
		return nil, err
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		_ = file.Close()
		return nil, err
	}
	return &lock{file}, nil
}

// waiting says which process we wait for and, with interrupt, interrupts it. The lock is held, so the number in it is
// that of a live process.
func (h Harness) waiting(interrupt bool) {
	data, _ := os.ReadFile(h.Spec.Lock())
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return
	}
	if interrupt {
		h.say("stopping process %d, which is changing the cluster", pid)
		_ = unix.Kill(pid, unix.SIGTERM)
		return
	}
	h.say("waiting for process %d, which is changing the cluster", pid)
}

func (l *lock) release() { _ = l.file.Close() }

package measure

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inUse returns how much memory a pool keeps in use, in bytes.
func inUse(t *testing.T, p *Pool) int64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(int(p.file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Blocks * 512
}

func TestPool(t *testing.T) {
	const size = 8 << 20
	dir, err := os.MkdirTemp("/dev/shm", "pool-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p, err := NewPool(dir, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if used, want := inUse(t, p), int64(size/poolPiece*poolKept); used != want {
		t.Errorf("%d bytes stay in use, want %d", used, want)
	}
	first := p.file
	p.fastest = time.Hour
	if anew, err := p.Check(); err != nil || anew || p.file != first || p.fastest >= time.Hour {
		t.Errorf("fast memory: made anew: %t, best time %v (%v)", anew || p.file != first, p.fastest, err)
	}
	p.fastest = time.Nanosecond
	if anew, err := p.Check(); err != nil || !anew || p.file == first {
		t.Errorf("slow memory: made anew: %t (%v)", anew, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("has left %v (%v)", left, err)
	}
}

func TestPoolOfNoMemory(t *testing.T) {
	p := &Pool{dir: "missing", size: 1}
	if anew, err := p.Check(); err != nil || anew {
		t.Errorf("made anew: %t (%v)", anew, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := NewPool(filepath.Join(t.TempDir(), "missing"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
}

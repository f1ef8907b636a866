package archive

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stsbackup/stsbackup/storage/repository/treeblob"
)

// failing is a file that can be read only up to some byte.
type failing struct{ left int }

func (f *failing) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, unix.EIO
	}
	n := min(len(p), f.left, 64<<10)
	f.left -= n
	return n, nil
}

// TestReadFailure reads files that fail in different places. Each failure is told apart from a failure of the backup,
// and gives back all memory; otherwise the next file would wait for ever.
func TestReadFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ size, readable int }{
		"small, at once":                 {1000, 0},
		"small, halfway":                 {1000, 500},
		"large, at once":                 {40 << 20, 0},
		"large, in the first slab":       {40 << 20, 3 << 20},
		"large, between two slabs":       {40 << 20, slabSize},
		"large, with a piece left over":  {40 << 20, slabSize + 1},
		"large, one byte before its end": {40 << 20, 40<<20 - 1},
	}
	for name, tt := range tests {
		slabs, err := newSlabs(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		jobs := make(chan []job)
		w := newWalker(nil)
		w.ctx, w.slabs, w.jobs = t.Context(), slabs, jobs
		file := newPendingFile(newPendingDir(nil, &treeblob.Node{}), &treeblob.Node{})
		released := make(chan struct{})
		go func() {
			defer close(released)
			for batch := range jobs {
				for _, j := range batch {
					j.slab.release()
				}
			}
		}()
		var failure *readError
		done, err := w.stretch(io.Reader(&failing{left: tt.readable}), int64(tt.size), 0, file)
		if !errors.As(err, &failure) || !errors.Is(failure.err, unix.EIO) {
			t.Errorf("%s: %v, want a readError of EIO", name, err)
		}
		if done > int64(tt.readable) {
			t.Errorf("%s: %d bytes are said to be read of %d that can be", name, done, tt.readable)
		}
		if err := w.releaseSmall(); err != nil {
			t.Error(err)
		}
		close(jobs)
		<-released
		if len(slabs) != slabCount {
			t.Errorf("%s: %d of %d slabs came back", name, len(slabs), slabCount)
		}
	}
}

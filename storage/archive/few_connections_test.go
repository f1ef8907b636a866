package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/archive"
	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/repository"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// flipping is a Bucket that returns each large pack with one bit wrong: the first time that the pack is read, or
// always.
type flipping struct {
	*storagetest.Memory
	always bool

	mu      sync.Mutex
	flipped map[string]bool
}

func (f *flipping) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := f.Memory.Get(ctx, name, offset, length)
	if err != nil || !strings.HasPrefix(name, "data/") {
		return body, err
	}
	info, err := f.Stat(ctx, name)
	if err != nil || info.Size < 1<<20 { // a pack of trees: without it nothing else is read
		return body, err
	}
	data, err := io.ReadAll(body)
	if err != nil { // the caller has given up
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := info.Size/2 - offset; at >= 0 && at < int64(len(data)) && (f.always || !f.flipped[name]) {
		f.flipped[name] = true
		data[at] ^= 1
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// TestRestoreWithFewConnections makes every pack of content arrive with a wrong bit, where there are only as many
// connections as a restore needs. A goroutine that holds one while it waits for another, to read once more, waits until
// the context ends.
func TestRestoreWithFewConnections(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	b := builder{t: t, root: source}
	b.file("big", filler(20<<20, 1), 0o644)
	b.dir("sub", 0o755)
	b.file("sub/small", []byte("content"), 0o644)
	bed, bucket := memoryBed(t)
	bed.backup(t, source)
	for _, connections := range []int{limit.MinConnections, limit.MinConnections + 1} {
		for _, always := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d connections, always %v", connections, always), func(t *testing.T) {
				line := &flipping{Memory: bucket, always: always, flipped: map[string]bool{}}
				limited := limit.New(line, limit.Limits{Connections: connections})
				repo := must(repository.Open(t.Context(), limited, password, repository.Options{}))(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				target := t.TempDir()
				_, err := archive.Restore(ctx, repo, archive.Target{Snapshot: bed.latest(t), Name: claim, Dir: target}, nil)
				switch {
				case ctx.Err() != nil:
					t.Errorf("it waited for itself: %v", err)
				case always && (err == nil || !strings.Contains(err.Error(), "damaged") && !strings.Contains(err.Error(), "decrypt")):
					t.Errorf("%v, want an error that says what is damaged", err)
				case !always && err != nil:
					t.Error(err)
				case !always:
					same(t, source, target)
				}
				if len(line.flipped) == 0 || !always && len(line.flipped) < 3 {
					t.Errorf("only %d packs arrived with wrong bits", len(line.flipped))
				}
			})
		}
	}
}

package repository

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// noisy is a Bucket on a line that changes a bit of what is read from a folder: the first time, or always.
type noisy struct {
	*storagetest.Memory
	folder string
	always bool

	mu   sync.Mutex
	seen map[string]bool
}

func (n *noisy) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := n.Memory.Get(ctx, name, offset, length)
	what := fmt.Sprint(name, offset, length)
	n.mu.Lock()
	again := n.seen[what]
	n.seen[what] = again || err == nil && strings.HasPrefix(name, n.folder)
	n.mu.Unlock()
	if err != nil || !strings.HasPrefix(name, n.folder) || again && !n.always {
		return body, err
	}
	data, err := io.ReadAll(body)
	if err != nil { // the caller has given up
		return nil, err
	}
	data[len(data)/2] ^= 1
	return io.NopCloser(bytes.NewReader(data)), err
}

// TestReadsTwice: data that changed on its way here is read again; damaged data is an error.
func TestReadsTwice(t *testing.T) {
	bucket, volumes := worn(t)
	for _, folder := range []string{"data/", "index/", "snapshots/"} {
		for _, always := range []bool{false, true} {
			line := &noisy{Memory: bucket, folder: folder, always: always, seen: map[string]bool{}}
			repo, err := openAny(t.Context(), line, hasty())
			if err != nil {
				t.Fatal(err)
			}
			for id := range volumes {
				if _, err := readBack(t.Context(), repo, id); damaged(err) != always || always && !strings.Contains(err.Error(), folder) {
					t.Errorf("wrong bits in %s, always %v: %v", folder, always, err)
				}
			}
			if !slices.Contains(slices.Collect(maps.Values(line.seen)), true) {
				t.Errorf("nothing was read from %s", folder)
			}
		}
	}
}

// TestVerifyAndPruneReadTwice: neither takes data that changed on its way here for damage, and both find damaged data.
func TestVerifyAndPruneReadTwice(t *testing.T) {
	for _, always := range []bool{false, true} {
		bucket, volumes := worn(t)
		noisyAt := func(folder string) (*Repository, *noisy) {
			line := &noisy{Memory: bucket, folder: folder, always: always, seen: map[string]bool{}}
			repo, err := openAny(t.Context(), line, hasty())
			if err != nil {
				t.Fatal(err)
			}
			return repo, line
		}
		repo, _ := noisyAt("data/")
		report, err := repo.Check(t.Context(), CheckOptions{ReadData: 1})
		if err != nil || (len(report.Problems) > 0) != always || (len(report.Damaged) > 0) != always {
			t.Errorf("verify, always %v: %v, problems %v", always, err, report.Problems)
		}
		repo, line := noisyAt("data/")
		_, err = repo.Prune(t.Context(), PruneOptions{})
		if damaged(err) != always || !always && err != nil {
			t.Errorf("prune, always %v: %v", always, err)
		}
		if len(line.seen) == 0 {
			t.Error("prune has read no pack")
		}
		if !always {
			sound(t, bucket, volumes)
		}
	}
}

package repository

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/limit"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// flipping is a Bucket that changes bits of what is read: the first time that somebody reads a byte, or always.
type flipping struct {
	storage.Bucket
	at     map[string][]int64 // byte offsets by object
	always bool

	mu   sync.Mutex
	seen map[string]bool
}

func (f *flipping) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := f.Bucket.Get(ctx, name, offset, length)
	if err != nil || f.at[name] == nil {
		return body, err
	}
	data, err := io.ReadAll(body)
	if err != nil { // the caller has given up
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.at[name] {
		what := fmt.Sprint(name, at)
		if at < offset || at >= offset+int64(len(data)) || f.seen[what] && !f.always {
			continue
		}
		f.seen[what] = true
		data[at-offset] ^= 0x10
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// flipped returns a bucket with a wrong bit in every blob that a file needs.
func flipped(t *testing.T, bucket storage.Bucket, content string, always bool) *flipping {
	t.Helper()
	repo := reopen(t, bucket)
	if err := repo.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := &flipping{Bucket: bucket, at: map[string][]int64{}, always: always, seen: map[string]bool{}}
	for piece := range slices.Chunk([]byte(content), 2048) {
		at, err := repo.Locate(DataBlob, Hash(piece))
		if err != nil {
			t.Fatal(err)
		}
		name := kindData.name(at.Pack)
		f.at[name] = append(f.at[name], int64(at.Offset)+20)
	}
	return f
}

// TestReadsTwiceWithFewConnections flips bits where there are only as many connections as needed: nobody waits for a
// connection for the second read while still holding the first one. Otherwise the reader would wait until the context
// ends.
func TestReadsTwiceWithFewConnections(t *testing.T) {
	for name, do := range map[string]func(context.Context, *testing.T, *Repository, map[ID]volume) (bad bool, err error){
		"prune": func(ctx context.Context, t *testing.T, repo *Repository, _ map[ID]volume) (bool, error) {
			report, err := repo.Prune(ctx, PruneOptions{mergeFrom: 2})
			if err == nil && report.PacksRepacked+report.PacksMerged < 2 {
				t.Errorf("prune has copied next to nothing: %+v", report)
			}
			return false, err
		},
		"verify": func(ctx context.Context, t *testing.T, repo *Repository, _ map[ID]volume) (bool, error) {
			report, err := repo.Check(ctx, CheckOptions{ReadData: 1})
			return len(report.Problems) > 0, err
		},
		"repair": func(ctx context.Context, t *testing.T, repo *Repository, _ map[ID]volume) (bool, error) {
			report, err := repo.Repair(ctx, RepairOptions{})
			return report.BlobsLost > 0, err
		},
		"read": func(ctx context.Context, t *testing.T, repo *Repository, volumes map[ID]volume) (bool, error) {
			for id := range volumes {
				if _, err := readBack(ctx, repo, id); err != nil {
					return false, err
				}
			}
			return false, nil
		},
	} {
		for _, connections := range []int{limit.MinConnections, limit.MinConnections + 1} {
			for _, always := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s with %d connections, always %v", name, connections, always), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						memory, volumes := worn(t)
						before := list(t, memory, "")
						line := flipped(t, memory, noise("shared", 20_000), always)
						repo, err := openAny(t.Context(), limit.New(line, limit.Limits{Connections: connections}), hasty())
						if err != nil {
							t.Fatal(err)
						}
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of the bubble's clock
						defer cancel()
						bad, err := do(ctx, t, repo, volumes)
						if (bad || damaged(err)) != always || !always && err != nil {
							t.Errorf("damage %v, %v", bad, err)
						}
						if len(line.seen) == 0 {
							t.Error("nothing has gone wrong on the line")
						}
						if damaged(err) && !remain(t, memory, before) {
							t.Error("something was removed")
						}
						if !always {
							sound(t, memory, volumes)
						}
					})
				})
			}
		}
	}
}

// remain reports whether all these objects are still there.
func remain(t *testing.T, bucket *storagetest.Memory, names []string) bool {
	t.Helper()
	now := list(t, bucket, "")
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(now, name) })
}

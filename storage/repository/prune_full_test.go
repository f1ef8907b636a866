package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// bounded is a Bucket with a quota.
type bounded struct {
	*storagetest.Memory
	quota int64

	mu sync.Mutex
}

func (b *bounded) Put(ctx context.Context, name string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	used := int64(0)
	if err := b.List(ctx, "", func(info storage.Info) error { used += info.Size; return nil }); err != nil {
		return err
	}
	if used+int64(len(data)) > b.quota {
		return fmt.Errorf("put %s: %w", name, storage.ErrNoSpace)
	}
	return b.Memory.Put(ctx, name, data)
}

// TestPruneInAFullBucket leaves more and more room. Whatever fails for lack of room, no needed data is removed, and no
// leftovers get in the way. If there is room for a lock and an index, unneeded data is removed, which makes room for
// copies the next time.
func TestPruneInAFullBucket(t *testing.T) {
	whole, volumes := worn(t)
	used := total(t, whole, "")
	const unneeded, index, copies = 18_000, 5000, 22_000 // bytes, roughly
	for room := int64(0); room < index+copies+5000; room += 1000 {
		bucket := &bounded{Memory: copyOf(t, whole), quota: used + room}
		prune := func() error {
			repo, err := openAny(t.Context(), bucket, hasty())
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.Prune(t.Context(), PruneOptions{})
			if err != nil && (!errors.Is(err, storage.ErrNoSpace) || !strings.Contains(err.Error(), "raise the quota")) {
				t.Errorf("with room for %d bytes: %v, want ErrNoSpace and what to do", room, err)
			}
			sound(t, bucket.Memory, volumes)
			if left := list(t, bucket, "locks/"); len(left) > 0 {
				t.Errorf("with room for %d bytes: locks are left: %v", room, left)
			}
			return err
		}
		first := prune()
		removed := used - total(t, bucket, "")
		switch {
		case room == 0 && (first == nil || removed != 0), room >= index+copies && first != nil:
			t.Errorf("with room for %d bytes: %v, %d bytes removed", room, first, removed)
		case room >= index+copies-unneeded && room < copies-index:
			if first == nil || removed < unneeded*9/10 {
				t.Errorf("with room for an index: %v, %d bytes removed", first, removed)
			}
			if err := prune(); err != nil {
				t.Errorf("with room for %d bytes, the second time: %v", room, err)
			}
			if room%4000 == 0 {
				resticJudges(t, inDirectory(t, bucket), volumes)
			}
		}
	}
}

// TestForgetInAFullBucket: the error says what to do.
func TestForgetInAFullBucket(t *testing.T) {
	memory, volumes := worn(t)
	repo, err := openAny(t.Context(), &bounded{Memory: memory}, hasty())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.LockExclusive(t.Context()); !errors.Is(err, storage.ErrNoSpace) || !strings.Contains(err.Error(), "raise the quota") {
		t.Errorf("%v, want ErrNoSpace and what to do", err)
	}
	sound(t, memory, volumes)
}

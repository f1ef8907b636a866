package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// interposed is a Bucket that runs a function before the first call of a kind.
type interposed struct {
	*storagetest.Memory
	verb, prefix string
	do           func()

	mu sync.Mutex // held while checking whether a call is the first
}

func (b *interposed) before(verb, name string) {
	if do := b.take(verb, name); do != nil {
		do()
	}
}

// arm sets do while others are already using the bucket.
func (b *interposed) arm(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.do = do
}

func (b *interposed) take(verb, name string) (do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.verb == verb && strings.HasPrefix(name, b.prefix) {
		do, b.do = b.do, nil
	}
	return do
}

func (b *interposed) Put(ctx context.Context, name string, data []byte) error {
	b.before("put", name)
	return b.Memory.Put(ctx, name, data)
}

func (b *interposed) Delete(ctx context.Context, name string) error {
	b.before("delete", name)
	return b.Memory.Delete(ctx, name)
}

// TestPruneBesideABackup makes a backup during a prune. The backup relies on data that the prune wants to remove,
// because it belonged to a forgotten volume.
func TestPruneBesideABackup(t *testing.T) {
	for name, tt := range map[string]struct {
		verb, prefix string
		refused      bool
	}{
		"while packs are copied":        {"put", "data/", false},
		"when they have been copied":    {"put", "index/", false},
		"while the index is exchanged":  {"delete", "index/", true},
		"while old packs are removed":   {"delete", "data/", false},
		"before the prune is noticed":   {"put", "locks/", false},
		"when the first lock is let go": {"delete", "locks/", false},
	} {
		t.Run(name, func(t *testing.T) {
			memory, volumes := worn(t)
			beside := reopen(t, memory)
			beside.options.timing.settle = time.Microsecond
			again := volume{"own": noise("own", 20_000), "alone": noise("alone", 15_000), "young": noise("young", 5000)}
			done := false
			bucket := &interposed{Memory: memory, verb: tt.verb, prefix: tt.prefix}
			bucket.do = func() {
				id, err := backUp(t.Context(), beside, again)
				if done = true; errors.Is(err, ErrLocked) != tt.refused || err != nil && !tt.refused {
					t.Errorf("backup: %v", err)
				}
				if err == nil {
					volumes[id] = again
				}
			}
			repo, err := Open(t.Context(), bucket, password, hasty())
			if err != nil {
				t.Fatal(err)
			}
			report, err := repo.Prune(t.Context(), PruneOptions{})
			if err != nil || !done || report.PacksUnindexed != 1 {
				t.Errorf("%+v, %v; backup made: %v", report, err, done)
			}
			if left := list(t, memory, "locks/"); len(left) > 0 {
				t.Errorf("locks are left: %v", left)
			}
			sound(t, memory, volumes)
			resticJudges(t, inDirectory(t, memory), volumes)
			if _, err := reopen(t, memory).Prune(t.Context(), PruneOptions{}); err != nil {
				t.Error(err)
			}
			sound(t, memory, volumes)
		})
	}
}

// TestPruneAlone records what prune does while nobody else may begin, and under which operation.
func TestPruneAlone(t *testing.T) {
	memory, volumes := worn(t)
	repo, inside := reopen(t, memory), false
	var operations []string
	look := func(ctx context.Context) {
		holders, err := repo.Locks(ctx)
		if err != nil || len(holders) != 1 || holders[0].Exclusive != inside {
			t.Errorf("inside %v: locks %+v, %v", inside, holders, err)
			return
		}
		operations = append(operations, holders[0].Operation)
	}
	bucket := &interposed{Memory: memory, verb: "put", prefix: "data/", do: func() { look(t.Context()) }}
	repo, err := Open(t.Context(), bucket, password, hasty())
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Prune(
		t.Context(),
		PruneOptions{AloneOperation: "guarded", Alone: func(ctx context.Context, do func(context.Context) error) error {
			inside = true
			bucket.verb, bucket.prefix, bucket.do = "delete", "index/", func() { look(ctx) }
			err := do(ctx)
			inside = false
			bucket.verb, bucket.prefix, bucket.do = "delete", "data/", func() { look(ctx) }
			return err
		}},
	)
	if err != nil || fmt.Sprint(operations) != "[ guarded ]" {
		t.Errorf("%q, %v", operations, err)
	}
	sound(t, memory, volumes)

	// The guard can refuse, and can stop guarding.
	memory, volumes = worn(t)
	before := list(t, memory, "data/")
	refusal := errors.New("somebody else began")
	for what, alone := range map[string]func(ctx context.Context, do func(context.Context) error) error{
		"refused": func(context.Context, func(context.Context) error) error { return refusal },
		"lost": func(ctx context.Context, do func(context.Context) error) error {
			guarded, lose := context.WithCancelCause(ctx)
			lose(refusal)
			return do(guarded)
		},
	} {
		if _, err := reopen(t, memory).Prune(t.Context(), PruneOptions{Alone: alone}); !errors.Is(err, refusal) {
			t.Errorf("%s: %v", what, err)
		}
		for _, name := range before {
			if _, err := memory.Stat(t.Context(), name); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		sound(t, memory, volumes)
		if left := list(t, memory, "locks/"); len(left) > 0 {
			t.Errorf("%s: locks are left: %v", what, left)
		}
	}
}

// TestBackupsAndPrunesAtOnce runs both all the time, each with patience. Nobody fails, and nothing is lost.
func TestBackupsAndPrunesAtOnce(t *testing.T) {
	const backups, prunes = 12, 6
	dir := t.TempDir()
	bucket := directory(t, dir)
	options := hasty()
	options.timing.settle, options.timing.poll, options.timing.pollMax = time.Millisecond, time.Millisecond, 10*time.Millisecond
	options.lockWait = LockWait{Limit: time.Minute}
	if _, err := Init(t.Context(), bucket, password, options); err != nil {
		t.Fatal(err)
	}
	open := func() *Repository {
		repo, err := Open(t.Context(), bucket, password, options)
		if err != nil {
			t.Error(err)
		}
		return repo
	}
	var mu sync.Mutex
	volumes := map[ID]volume{}
	work := func(worker int) {
		var last ID
		for i := range backups {
			v := volume{"always": noise("always", 20_000), "some": noise(fmt.Sprint("some", i%3), 15_000), "new": noise(fmt.Sprint(worker, i), 4000)}
			repo := open()
			id, err := backUp(t.Context(), repo, v)
			if err != nil {
				t.Errorf("backup %d of worker %d: %v", i, worker, err)
				return
			}
			mu.Lock()
			volumes[id] = v
			mu.Unlock()
			if i%2 == 1 { // the one before is forgotten
				lock, err := repo.LockExclusive(t.Context())
				if err != nil {
					t.Errorf("forget %d of worker %d: %v", i, worker, err)
					return
				}
				if err := errors.Join(lock.RemoveSnapshots(last), lock.Release(t.Context())); err != nil {
					t.Error(err)
				}
				mu.Lock()
				delete(volumes, last)
				mu.Unlock()
			}
			last = id
		}
	}
	var group sync.WaitGroup
	for worker := range 2 {
		group.Go(func() { work(worker) })
	}
	group.Go(func() {
		for range prunes {
			if _, err := open().Prune(t.Context(), PruneOptions{mergeFrom: 3}); err != nil {
				t.Errorf("prune: %v", err)
			}
		}
	})
	group.Wait()
	sound(t, bucket, volumes)
	resticJudges(t, dir, volumes)
}

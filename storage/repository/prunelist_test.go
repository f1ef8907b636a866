package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// mislisting is a Bucket in which one listing of a kind arrives with a wrong name, or without a name.
type mislisting struct {
	*storagetest.Memory
	prefix string
	name   string // the changed name; "" is the first
	wrong  string // what it becomes; "" leaves it out
	at     int    // which listing
	listed int
}

func (m *mislisting) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	if !strings.HasPrefix(prefix, m.prefix) {
		return m.Memory.List(ctx, prefix, fn)
	}
	m.listed++
	first := m.listed == m.at
	return m.Memory.List(ctx, prefix, func(info storage.Info) error {
		if first && (m.name == "" || m.name == info.Name) {
			first = false
			if m.wrong == "" {
				return nil
			}
			info.Name = m.wrong
		}
		return fn(info)
	})
}

// TestPruneBelievesNoSingleListing: a repository snapshot still needs its data if one listing does not name it. Each
// time, prune reads the names of two listings, and whatever either names counts; it only compares the last listing with
// that.
func TestPruneBelievesNoSingleListing(t *testing.T) {
	worn, volumes := worn(t)
	for _, at := range []int{1, 2, 3, 4, 5} {
		for _, wrong := range []string{"", "snapshots/no-id", kindSnapshot.name(Hash([]byte("nothing")))} {
			bucket := &mislisting{Memory: copyOf(t, worn), prefix: "snapshots/", wrong: wrong, at: at}
			repo, err := Open(t.Context(), bucket, password, hasty())
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.Prune(t.Context(), PruneOptions{})
			if errors.Is(err, errListing) != (at == 5) || at < 5 && err != nil || bucket.listed != 5 {
				t.Errorf("listing %d with %q: %v after %d listings", at, wrong, err, bucket.listed)
			}
			sound(t, bucket.Memory, volumes)
			if _, err := repo.Prune(t.Context(), PruneOptions{}); err != nil {
				t.Error(err)
			}
			sound(t, bucket.Memory, volumes)
		}
	}
}

// TestPruneListsTheIndexTwice: packs that only an overlooked index object names are no unindexed waste. That object
// would still name them after their removal, and the next backup of the same content would rely on them.
func TestPruneListsTheIndexTwice(t *testing.T) {
	for _, at := range []int{2, 3} {
		memory, volumes := worn(t)
		before := list(t, memory, "index/")
		writer := reopen(t, memory)
		w, err := writer.NewWriter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		content := volume{"of a backup that died": noise("died", 20_000)}
		_, err = saveVolume(t.Context(), w, content)
		if err := errors.Join(err, w.Flush()); err != nil {
			t.Fatal(err)
		}
		bucket := &mislisting{Memory: memory, prefix: "index/", at: at}
		for _, name := range list(t, memory, "index/") {
			if !slices.Contains(before, name) {
				bucket.name = name
			}
		}
		repo, err := Open(t.Context(), bucket, password, hasty())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Prune(t.Context(), PruneOptions{}); !errors.Is(err, errListing) {
			t.Errorf("listing %d: %v, want errListing", at, err)
		}
		id, err := backUp(t.Context(), reopen(t, memory), content)
		if err != nil {
			t.Fatal(err)
		}
		volumes[id] = content
		sound(t, memory, volumes)
	}
}

// TestPruneMergesIndexObjects has an index of many small objects, and nothing else to do.
func TestPruneMergesIndexObjects(t *testing.T) {
	repo, bucket := newRepo(t)
	repo.options = hasty().withDefaults()
	volumes := map[ID]volume{}
	for i := range 40 {
		v := volume{"a": noise(fmt.Sprint(i), 3000)}
		volumes[mustBackUp(t, repo, v)] = v
	}
	before, packs := len(list(t, bucket, "index/")), len(list(t, bucket, "data/"))
	options := PruneOptions{mergeFrom: 1000} // packs stay
	if _, err := reopen(t, bucket).Prune(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	if after := list(t, bucket, "index/"); before < 40 || len(after) != 1 || len(list(t, bucket, "data/")) != packs {
		t.Errorf("%d index objects, %d before", len(after), before)
	}
	sound(t, bucket, volumes)
	for objects, size := range map[int]int{32: 0, 100: 50 * indexLimit, 400: 100 * indexLimit} {
		if scattered(objects, size) {
			t.Errorf("%d index objects of %d bytes in all are said to be too many", objects, size)
		}
	}
}

package repository

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// mislisting is a Bucket one of whose listings of repository snapshots arrives with a wrong name, or without one.
type mislisting struct {
	*storagetest.Memory
	wrong  string // what the first name becomes; "" is nothing
	at     int    // which listing
	listed int
}

func (m *mislisting) List(ctx context.Context, prefix string, fn func(storage.Info) error) error {
	if !strings.HasPrefix(prefix, "snapshots/") {
		return m.Memory.List(ctx, prefix, fn)
	}
	m.listed++
	first := m.listed == m.at
	return m.Memory.List(ctx, prefix, func(info storage.Info) error {
		if first {
			first = false
			if m.wrong == "" {
				return nil
			}
			info.Name = m.wrong
		}
		return fn(info)
	})
}

// TestPruneBelievesNoSingleListing: a repository snapshot that one listing does not name needs its data all the same. The
// first listing is for what to copy, and removes nothing: prune goes on without what it did not name.
func TestPruneBelievesNoSingleListing(t *testing.T) {
	worn, volumes := worn(t)
	for _, at := range []int{1, 2, 3} {
		for _, wrong := range []string{"", "snapshots/no-id", kindSnapshot.name(Hash([]byte("nothing")))} {
			bucket := &mislisting{Memory: copyOf(t, worn), wrong: wrong, at: at}
			repo, err := Open(t.Context(), bucket, password, hasty())
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.Prune(t.Context(), PruneOptions{})
			if errors.Is(err, errListing) != (at > 1) || at == 1 && err != nil || bucket.listed != 3 {
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

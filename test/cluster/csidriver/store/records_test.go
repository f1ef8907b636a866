package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newShelf(t *testing.T) shelf[Volume] {
	t.Helper()
	return shelf[Volume]{dir: t.TempDir()}
}

func TestShelf(t *testing.T) {
	s := newShelf(t)
	v := Volume{ID: "vol-1", Name: "pvc-1", Size: 4096, Format: Format{Kind: Image, FSType: "ext4"}}
	fill := func(dir string) error { return os.WriteFile(filepath.Join(dir, imageName), []byte("data"), 0o600) }
	if err := s.add(v.ID, v, fill); err != nil {
		t.Fatal(err)
	}
	got, err := s.get(v.ID)
	if diff := cmp.Diff(v, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	v.Size = 8192
	if err := s.replace(v.ID, v); err != nil {
		t.Fatal(err)
	}
	all, err := s.list()
	if diff := cmp.Diff([]Volume{v}, all); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for range 2 { // the second time it is gone
		if err := s.remove(v.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.get(v.ID); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// TestHalfObjectsAreNeverSeen: nobody sees an object that could not be completed, or one that a killed driver has left.
func TestHalfObjectsAreNeverSeen(t *testing.T) {
	s := newShelf(t)
	full := errors.New("disk full")
	if err := s.add("vol-1", Volume{ID: "vol-1"}, func(string) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := os.MkdirAll(s.path(".new-vol-1", "junk"), 0o755); err != nil {
		t.Fatal(err)
	}
	if all, err := s.list(); err != nil || len(all) != 0 {
		t.Errorf("seen: %v, %v", all, err)
	}
	if err := s.add("vol-1", Volume{ID: "vol-1"}, func(string) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestIDsFromRequests: an id is whatever the caller sends.
func TestIDsFromRequests(t *testing.T) {
	s := newShelf(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", ".new-x", "a\x00b", "none"} {
		if _, err := s.get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	a := VolumeID("a")
	if again := VolumeID("a"); again != a || a == VolumeID("b") || a == SnapshotID("a") {
		t.Error("ids do not follow from names alone")
	}
}

func TestReady(t *testing.T) {
	cut := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := Snapshot{Created: cut, ReadyAfter: 5 * time.Second}
	if s.Ready(cut.Add(4*time.Second)) || !s.Ready(cut.Add(5*time.Second)) {
		t.Error("readiness does not follow the delay")
	}
}

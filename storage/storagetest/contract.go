package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage"
)

// Contract is the suite that checks the obligations of every storage.Bucket.
type Contract struct {
	// Open makes an empty bucket. The suite calls it once for each test.
	Open func(t *testing.T) storage.Bucket
	// LongestName is the longest name, in bytes, that the bucket takes: storage.MaxName if it is zero, less for a part
	// of a bucket, whose prefix counts as well.
	LongestName int
	// Transient, if set, recognises names under which the server lists objects that it is still writing: a fault of the
	// server, which callers that list objects by their full names do not notice.
	Transient func(name string) bool
}

// Test runs the suite as subtests of t.
func (c Contract) Test(t *testing.T) {
	t.Helper()
	if c.LongestName == 0 {
		c.LongestName = storage.MaxName
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, storage.Bucket)
	}{
		{"Absent", testAbsent},
		{"ReadAfterWrite", testReadAfterWrite},
		{"Replace", testReplace},
		{"DataIsTheCallers", testDataIsTheCallers},
		{"Ranges", testRanges},
		{"LargeObject", testLargeObject},
		{"Names", c.testNames},
		{"InvalidNames", c.testInvalidNames},
		{"ObjectBesideFolder", testObjectBesideFolder},
		{"ListOrder", testListOrder},
		{"ListPrefix", testListPrefix},
		{"ListMany", testListMany},
		{"ListStops", testListStops},
		{"ListCallsBack", testListCallsBack},
		{"Folders", testFolders},
		{"Cancelled", testCancelled},
		{"CancelledWhileReading", testCancelledWhileReading},
		{"CancelledPut", c.testCancelledPut},
		{"CancelledWhilePutting", testCancelledWhilePutting},
		{"ConcurrentReplace", c.testConcurrentReplace},
		{"ConcurrentUse", testConcurrentUse},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, c.Open(t))
		})
	}
}

// put stores an object or ends the test.
func put(t *testing.T, bucket storage.Bucket, name string, data []byte) {
	t.Helper()
	if err := bucket.Put(t.Context(), name, data); err != nil {
		t.Fatalf("Put(%q, %d bytes): %v", name, len(data), err)
	}
}

// get reads a range of an object.
func get(ctx context.Context, bucket storage.Bucket, name string, offset, length int64) ([]byte, error) {
	reader, err := bucket.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(reader)
	return data, errors.Join(err, reader.Close())
}

// wantObject checks with Get and Stat that the object has this data.
func wantObject(t *testing.T, bucket storage.Bucket, name string, want []byte) {
	t.Helper()
	data, err := get(t.Context(), bucket, name, 0, -1)
	if err != nil {
		t.Errorf("Get(%q): %v", name, err)
	} else if !bytes.Equal(data, want) {
		t.Errorf("Get(%q): %d bytes that differ from the %d stored", name, len(data), len(want))
	}
	info, err := bucket.Stat(t.Context(), name)
	if err != nil || info.Name != name || info.Size != int64(len(want)) {
		t.Errorf("Stat(%q) = %+v, %v; want %d bytes", name, info, err, len(want))
	}
	wantRecent(t, info)
}

// wantRecent checks that the object's time is within this test. The medium's clock may differ from ours.
func wantRecent(t *testing.T, info storage.Info) {
	t.Helper()
	if age := time.Since(info.Modified).Abs(); age > 15*time.Minute {
		t.Errorf("%s was stored just now, not at %s", info.Name, info.Modified)
	}
}

// wantAbsent checks with Get, Stat and List that there is no such object.
func wantAbsent(t *testing.T, bucket storage.Bucket, name string) {
	t.Helper()
	if _, err := get(t.Context(), bucket, name, 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get(%q) of no object: %v, want %v", name, err, storage.ErrNotExist)
	}
	if _, err := bucket.Stat(t.Context(), name); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Stat(%q) of no object: %v, want %v", name, err, storage.ErrNotExist)
	}
	for _, listed := range names(t, bucket, name) {
		if listed == name {
			t.Errorf("List shows %q, which does not exist", name)
		}
	}
}

// names lists the names of all objects with the prefix.
func names(t *testing.T, bucket storage.Bucket, prefix string) []string {
	t.Helper()
	found := []string{}
	err := bucket.List(t.Context(), prefix, func(info storage.Info) error {
		found = append(found, info.Name)
		return nil
	})
	if err != nil {
		t.Fatalf("List(%q): %v", prefix, err)
	}
	return found
}

// random returns n bytes that no medium can shrink, the same for the same seed.
func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(data) // never fails, says its documentation
	return data
}
